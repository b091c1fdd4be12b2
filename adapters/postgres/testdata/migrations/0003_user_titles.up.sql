ALTER TABLE users ADD COLUMN title text CONSTRAINT users_title_check CHECK (title <> '');
