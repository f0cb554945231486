package rdb

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"testing"
	"testing/iotest"
)

// TestLentUntilTheNextObject: the parts of an object, which are lent from the buffers that
// a stream is read through, stay as they are to the end of it, however many buffers it
// has come in.
func TestLentUntilTheNextObject(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 5))
	text := func(what string, size int) []byte {
		return bytes.Repeat([]byte(what), size/len(what)+1)
	}
	var want []Object
	var file bytes.Buffer
	w := NewWriter(&file)
	w.Header(nil)
	w.SelectDB(0)
	for i := range 400 {
		o := Object{Key: text(fmt.Sprint("key", i, "."), rnd.IntN(200)), LRU: -1, LFU: -1}
		switch i % 3 {
		case 0:
			o.Type, o.Str = TypeString, text(fmt.Sprint("value", i, "."), rnd.IntN(readBuffer))
		case 1:
			o.Type, o.Str = TypeString, text(fmt.Sprint("value", i, "."), rnd.IntN(2000))
		default:
			o.Type = TypeHash
			for f := range rnd.IntN(40) + 1 {
				o.Items = append(o.Items, text(fmt.Sprint("field", i, "-", f, "."), rnd.IntN(3000)), text(fmt.Sprint("of", i, "-", f, "."), rnd.IntN(readBuffer/4)))
			}
		}
		want = append(want, o)
		w.Object(&o)
	}
	if err := w.End(); err != nil {
		t.Fatal(err)
	}
	i := 0
	err := Read(iotest.HalfReader(bytes.NewReader(file.Bytes())), Handler{Object: func(o *Object) error {
		w := &want[i]
		i++
		if !bytes.Equal(o.Key, w.Key) || !bytes.Equal(o.Str, w.Str) || len(o.Items) != len(w.Items) {
			return fmt.Errorf("object %d is not the one that was written", i-1)
		}
		for j := range o.Items {
			if !bytes.Equal(o.Items[j], w.Items[j]) {
				return fmt.Errorf("item %d is %.20q, and was %.20q", j, o.Items[j], w.Items[j])
			}
		}
		return nil
	}})
	if err != nil || i != len(want) {
		t.Fatalf("%d of %d: %v", i, len(want), err)
	}
}
