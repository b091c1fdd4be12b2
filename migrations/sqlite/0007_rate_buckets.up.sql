-- Nothing: who has a file has one server, which counts its callers in memory.
SELECT 1;
