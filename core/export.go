package core

import (
	"context"
	"io"
)

// WriteRDB writes all keys, as they are at this moment, as one RDB file and
// returns how many there are. Writes go on meanwhile. What was written is worth
// nothing after an error.
func (db *DB) WriteRDB(out io.Writer) (keys int64, err error) {
	return db.persist.Export(context.Background(), out)
}
