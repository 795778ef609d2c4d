# Copyright: BBWS
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a tenant may try with its own login to read, change, stop or impersonate another one; each must fail or tell nothing.

{db} and {user} are the other tenant's, {data} is the server's folder, {connection} one of its connections.
"""

from __future__ import annotations

READ = {
    "use": "USE {db}",
    "select": "SELECT * FROM {db}.wp_users",
    "view": "SELECT * FROM {db}.v1",
    "join": "SELECT b.v FROM own a JOIN {db}.wp_users b ON 1=1",
    "subquery": "SELECT (SELECT v FROM {db}.wp_users LIMIT 1)",
    "copy": "CREATE TABLE stolen AS SELECT * FROM {db}.wp_users",
    "like": "CREATE TABLE stolen LIKE {db}.wp_users",
    "own view": "CREATE VIEW vv AS SELECT * FROM {db}.wp_users",
    "handler": "HANDLER {db}.wp_users OPEN AS h; HANDLER h READ FIRST",
    "prepared": "PREPARE s FROM 'SELECT * FROM {db}.wp_users'; EXECUTE s",
    "procedure": "CALL {db}.p1()",
    "definer's view": "CREATE DEFINER=platform@127.0.0.1 VIEW dv AS SELECT * FROM {db}.wp_users; SELECT * FROM dv",
    "definer's trigger": "CREATE DEFINER=platform@127.0.0.1 TRIGGER t AFTER INSERT ON own FOR EACH ROW SET @v = (SELECT v FROM {db}.v1)",
    "foreign key": "CREATE TABLE fk (id INT, FOREIGN KEY (id) REFERENCES {db}.wp_users(id))",
    "rename": "RENAME TABLE {db}.wp_users TO stolen",
    "merge": "CREATE TABLE mg (v VARCHAR(100)) ENGINE=MERGE UNION=({db}.legacy); SELECT * FROM mg",
    "data directory": "CREATE TABLE dd (v VARCHAR(100)) ENGINE=MyISAM DATA DIRECTORY='{data}/{db}'",
    "load file": "LOAD DATA INFILE '{data}/{db}/legacy.MYD' INTO TABLE own",
    "show tables": "SHOW TABLES FROM {db}",
    "show create": "SHOW CREATE TABLE {db}.wp_users",
    "describe": "DESCRIBE {db}.wp_users",
    "users": "SELECT * FROM mysql.user",
    "privileges": "SELECT * FROM mysql.global_priv",
    "grants": "SHOW GRANTS FOR {user}@'127.0.0.%'",
    "log": "SELECT * FROM mysql.general_log",
    "status": "SHOW ENGINE INNODB STATUS",
    "binary logs": "SHOW BINARY LOGS",
}  # fmt: skip
WRITE = {
    "insert": "INSERT INTO {db}.wp_users VALUES (99, 'x')",
    "update": "UPDATE {db}.wp_users SET v = 'x'",
    "delete": "DELETE FROM {db}.wp_users",
    "truncate": "TRUNCATE {db}.wp_users",
    "create": "CREATE TABLE {db}.x (i INT)",
    "alter": "ALTER DATABASE {db} CHARACTER SET latin1",
    "lock": "LOCK TABLES {db}.wp_users WRITE",
    "lock all": "FLUSH TABLES WITH READ LOCK",
    "event": "CREATE EVENT ev ON SCHEDULE EVERY 1 SECOND DO DELETE FROM {db}.wp_users",
    "outfile": "SELECT 'x' INTO OUTFILE '{data}/{db}/x.txt'",
    "another database": "CREATE DATABASE tenant_c",
    "grant itself": "GRANT SELECT ON {db}.* TO CURRENT_USER()",
    "grant its own": "GRANT SELECT ON own TO {user}@'127.0.0.%'",
    "password": "SET PASSWORD FOR {user}@'127.0.0.%' = PASSWORD('x')",
    "user": "ALTER USER {user}@'127.0.0.%' IDENTIFIED BY 'x'",
    "new user": "CREATE USER evil",
    "proxy": "GRANT PROXY ON {user}@'127.0.0.%' TO CURRENT_USER()",
    "kill": "KILL {connection}",
    "global": "SET GLOBAL general_log = ON",
    "plugin": "INSTALL SONAME 'ha_connect'",
    "shutdown": "SHUTDOWN",
    "drop": "DROP TABLE {db}.wp_users",
    "drop database": "DROP DATABASE {db}",
}  # fmt: skip
#: May succeed, as long as the answer names nothing of the other tenant.
TELL_NOTHING = {
    "databases": "SHOW DATABASES",
    "schemata": "SELECT schema_name FROM information_schema.schemata",
    "tables": "SELECT table_schema, table_name FROM information_schema.tables",
    "routines": "SELECT routine_schema FROM information_schema.routines",
    "schema privileges": "SELECT * FROM information_schema.schema_privileges",
    "user privileges": "SELECT * FROM information_schema.user_privileges",
    "processes": "SHOW FULL PROCESSLIST",
    "file": "SELECT LOAD_FILE('{data}/{db}/legacy.MYD')",
}  # fmt: skip
