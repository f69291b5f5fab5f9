"""How files reach us, a file a door: spool.py (where accepted files wait, on disk), taking.py (takes them from there, in order),
sftp_folder.py (the folder that a tenant sees) and sftp.py (the server: keys, sessions, limits)."""
