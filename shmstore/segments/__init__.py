"""Where the bytes live: names, files, mappings, and who this process is; create, attach, list and unlink."""
