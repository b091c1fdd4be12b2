ALTER TABLE users ADD COLUMN title TEXT CONSTRAINT users_title_check CHECK (title <> '');
