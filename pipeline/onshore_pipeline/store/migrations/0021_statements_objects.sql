-- Which object a statement about coverage is about, and which digest lists that object: of several statements about
-- one object the newest counts.

ALTER TABLE message_statements ADD COLUMN IF NOT EXISTS object String DEFAULT '';

ALTER TABLE message_statements ADD COLUMN IF NOT EXISTS listed_by String DEFAULT '';

CREATE OR REPLACE VIEW message_statements_current AS
SELECT * FROM message_statements WHERE attempt_id NOT IN (SELECT attempt_id FROM attempts_open);
