package core

import (
	"errors"
	"io"

	"github.com/spillwaydb/spillway/fsbackends/osfs"
)

// OpenDir is [Open] on a directory of the operating system, which is created with
// mode 0700 when it is missing, and with the zero [Options]: every write is in the
// log and on the disk before it returns. The caller must Close the DB.
func OpenDir(dir string) (*DB, error) {
	fs, err := osfs.New(dir)
	if err != nil {
		return nil, err
	}
	root, _ := fs.(io.Closer)
	db, err := Open(Options{FS: fs})
	if err != nil {
		return nil, errors.Join(err, root.Close())
	}
	db.root = root
	return db, nil
}
