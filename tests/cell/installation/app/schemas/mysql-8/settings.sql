CREATE TABLE `%table_prefix%settings` (name VARCHAR(191) PRIMARY KEY, value INT NOT NULL DEFAULT 0);
INSERT INTO `%table_prefix%settings` (name, value) VALUES ('cron', 0);
