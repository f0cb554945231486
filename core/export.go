package core

import (
	"fmt"
	"io"
	"slices"

	"github.com/spillwaydb/spillway/core/keyspace"
	"github.com/spillwaydb/spillway/core/rdb"
)

// WriteRDB writes all keys, as they are at this moment, as one RDB file and
// returns how many there are. Writes go on meanwhile. What was written is worth
// nothing after an error.
func (db *DB) WriteRDB(out io.Writer) (keys int64, err error) {
	db.gate.RLock()
	defer db.gate.RUnlock()
	var views []*keyspace.View
	defer func() {
		for _, v := range views {
			v.Release()
		}
	}()
	db.ks.LockAll()
	views, err = db.ks.FreezeAll()
	at := db.clock.Now()
	db.ks.UnlockAll()
	if err != nil {
		return 0, fmt.Errorf("freezing the keyspace: %w", err)
	}
	w := rdb.NewWriter(out)
	if slices.ContainsFunc(views, (*keyspace.View).Dated) {
		w.DatedHeader(rdb.HeaderAt(at))
	} else {
		w.Header(rdb.HeaderAt(at))
	}
	for _, v := range views {
		n, err := v.Encode(w, nil)
		keys += n
		if err != nil {
			return keys, err
		}
	}
	return keys, w.End()
}
