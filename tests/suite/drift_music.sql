-- A shop that sells music: quoted names of mixed case, references in a ring, one number for all.
CREATE SCHEMA "Music Store";
SET search_path = "Music Store";
CREATE SEQUENCE "Next Number" START 1000 INCREMENT 10 CACHE 5;
CREATE TABLE "Artist" ("ArtistId" int NOT NULL DEFAULT nextval('"Next Number"'), "Name" varchar(120), CONSTRAINT "PK_Artist" PRIMARY KEY ("ArtistId"));
CREATE TABLE "Album" ("AlbumId" int NOT NULL, "Title" varchar(160) NOT NULL, "ArtistId" int NOT NULL, CONSTRAINT "PK_Album" PRIMARY KEY ("AlbumId"));
ALTER TABLE "Album" ADD CONSTRAINT "FK_AlbumArtistId" FOREIGN KEY ("ArtistId") REFERENCES "Artist" ("ArtistId") ON DELETE NO ACTION;
CREATE INDEX "IFK_AlbumArtistId" ON "Album" ("ArtistId");
CREATE TABLE "Employee" ("EmployeeId" int PRIMARY KEY, "ReportsTo" int REFERENCES "Employee", "BirthDate" timestamp, "select" text, "a ""quoted"" one" text);
CREATE TABLE "Customer" ("CustomerId" int PRIMARY KEY, "SupportRepId" int, "Email" varchar(60) NOT NULL UNIQUE);
ALTER TABLE "Customer" ADD CONSTRAINT "Rep" FOREIGN KEY ("SupportRepId") REFERENCES "Employee" NOT VALID;
CREATE TABLE "Invoice" ("InvoiceId" int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, "CustomerId" int NOT NULL REFERENCES "Customer", "Net" numeric(10, 2), "Gross" numeric(10, 2) GENERATED ALWAYS AS ("Net" * 1.2) STORED);
CREATE TABLE "Track" ("TrackId" int PRIMARY KEY, "AlbumId" int REFERENCES "Album", "MediaType" varchar(20) CHECK ("MediaType" IN ('AAC', 'MPEG')), "Bytes" int, "UnitPrice" numeric(10, 2) NOT NULL);
CREATE TABLE "InvoiceLine" ("InvoiceId" int REFERENCES "Invoice" ON DELETE CASCADE, "TrackId" int REFERENCES "Track", "Quantity" int NOT NULL DEFAULT 1, PRIMARY KEY ("InvoiceId", "TrackId"));
CREATE VIEW "Best" AS SELECT t."TrackId", count(*) AS "Sold", string_agg(DISTINCT "MediaType", ', ') AS "Types" FROM "Track" t JOIN "InvoiceLine" USING ("TrackId") GROUP BY 1 HAVING count(*) > 1;
CREATE VIEW "Best of Best" WITH (security_barrier) AS SELECT * FROM "Best" WHERE "Sold" BETWEEN 5 AND 10;
INSERT INTO "Artist" ("Name") VALUES ('Ænima'), (NULL);
