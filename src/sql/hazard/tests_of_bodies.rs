//! What is read of blocks, functions and rules.

use super::tests::codes;
use super::*;

#[test]
fn bodies_are_read() {
    let found = hazards(
        "select 1;\ndo $$\nbegin\n  if true then\n    delete from eng.t;\n  end if;\nend $$;",
    );
    assert_eq!(found.len(), 1);
    assert_eq!(
        (found[0].code.as_str(), found[0].line, found[0].column),
        ("delete-without-where", 5, 5)
    );
    assert!(found[0].statement.starts_with("do $$ begin if true"));
    assert_eq!(found[0].relation.as_deref(), Some("eng.t"));
    assert!(found[0].is_refusable());
    let function =
        "create function reset() returns void language plpgsql as $f$ begin truncate t; end $f$;";
    let found = hazards(function);
    assert_eq!(found[0].when_called.as_deref(), Some("reset"));
    assert!(!found[0].is_refusable());
    for call in [
        "select reset();",
        "do $$ begin perform reset(); end $$;",
        "select * from x.reset()",
    ] {
        assert!(
            hazards(&format!("{function}\n{call}"))
                .iter()
                .any(Hazard::is_refusable),
            "{call}"
        );
    }
    for sql in [
        "create function f() returns void language sql as $$ delete from t $$;",
        "create function f() returns void begin atomic delete from t; end;",
        "create rule f as on insert to v do also delete from t;",
    ] {
        let found = hazards(sql);
        assert_eq!(found.len(), 1, "{sql}: {found:?}");
        assert_eq!(found[0].when_called.as_deref(), Some("f"), "{sql}");
    }
}

#[test]
fn blocks_that_only_call_are_read_to_their_end() {
    for sql in [
        "do $$ declare w text; begin foreach w in array array['a', 'b'] loop \
         perform audit.watch(format('eng.%I', w)::regclass); raise notice '% seen', w; end loop; end $$",
        "do $$ declare w regclass; begin foreach w in array array['a']::regclass[] loop \
         perform audit.watch(w); end loop; end $$",
        "do $$ declare n int; begin n := 1; if n > 0 then perform 1; end if; end $$",
    ] {
        assert_eq!(codes(sql), [""; 0], "{sql}");
    }
}
