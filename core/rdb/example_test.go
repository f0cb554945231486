package rdb_test

import (
	"bytes"
	"fmt"

	"github.com/spillwaydb/spillway/core/rdb"
)

// A file is written call by call and read object by object.
func Example() {
	var file bytes.Buffer
	w := rdb.NewWriter(&file)
	w.Header([][2]string{{"redis-ver", "7.0.15"}})
	w.SelectDB(0)
	w.ResizeDB(2, 1)
	w.Expire(4102444800000)
	w.String([]byte("greeting"), []byte("hello"))
	w.Begin(rdb.TypeZSet, []byte("board"), 2)
	w.Item([]byte("ann"))
	w.Score(1.5)
	w.Item([]byte("bob"))
	w.Score(2)
	if err := w.End(); err != nil {
		fmt.Println(err)
	}

	err := rdb.Read(&file, rdb.Handler{
		Object: func(o *rdb.Object) error {
			fmt.Printf("%s %s %q %q %v until %d\n", o.Type, o.Key, o.Str, o.Items, o.Scores, o.ExpireMS)
			return nil
		},
	})
	fmt.Println(err)
	// Output:
	// string greeting "hello" [] [] until 4102444800000
	// zset board "" ["ann" "bob"] [1.5 2] until 0
	// <nil>
}
