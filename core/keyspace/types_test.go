package keyspace

import (
	"fmt"
	"strings"
	"testing"

	"github.com/spillwaydb/spillway/core/rdb"
	"github.com/spillwaydb/spillway/core/rdb/packed"
)

// TestUndeclaredType: what holds a type that nobody declares is not written as one
// that somebody does, and a type that came from elsewhere is not stored as one.
func TestUndeclaredType(t *testing.T) {
	for _, packing := range []enc{encPacked, encObject} {
		for _, typ := range []Type{Type(len(rdb.Types())), flagType} {
			k := New(Config{Shards: 1, Databases: 1})
			d, key := k.Shard(0).DB(0), []byte("the key")
			if packing == encObject {
				d.newObject(key, typ, newCollection(Hash, k.pool))
			} else {
				d.storePayload(key, typ, packing, packed.SealList(packed.AppendEntry(packed.AppendListHeader(nil), []byte("a")), 1))
			}
			e, _ := d.Get(key, 0)
			_, dump := d.Dump(key, e)
			v := freezeAll(t, k)[0]
			_, snap := snapshot(v)
			_, rewrite := v.EncodeCommands(func([][]byte) error { return nil }, nil)
			v.Release()
			load := k.Load(&rdb.Object{Key: key, Type: typ, Items: [][]byte{key}})
			for what, err := range map[string]error{"Dump": dump, "Encode": snap, "EncodeCommands": rewrite, "Load": load} {
				if err == nil || !strings.Contains(err.Error(), fmt.Sprintf("type(%d)", typ)) || !strings.Contains(err.Error(), "the key") {
					t.Errorf("%s of encoding %d: %v", what, packing, err)
				}
			}
		}
	}
}

// TestEveryTypeIsNamed: this package has a name for each type that rdb declares, and
// room for it in a blob.
func TestEveryTypeIsNamed(t *testing.T) {
	named := []Type{String, List, Set, ZSet, Hash, Stream}
	if types := rdb.Types(); len(types) != len(named) || len(types)-1 > flagType {
		t.Errorf("rdb declares %v, and here are %v, of %d that a blob has room for", types, named, flagType+1)
	}
}
