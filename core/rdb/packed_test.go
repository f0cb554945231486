package rdb

import (
	"bytes"
	"math"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sort"
	"strconv"
	"strings"
	"testing"

	"github.com/spillwaydb/spillway/core/rdb/packed"
)

// packedOf is an object as a small collection is kept: its listpack, in nodes
// of a few items for a list, or its intset; neither for what is not packed.
func packedOf(o *Object) (nodes []packed.Listpack, ints packed.Intset) {
	node := func(items [][]byte) packed.Listpack {
		b := packed.AppendListHeader(nil)
		for _, it := range items {
			b = packed.AppendEntry(b, it)
		}
		return packed.SealList(b, len(items))
	}
	switch o.Type {
	case TypeHash:
		return []packed.Listpack{node(o.Items)}, nil
	case TypeList:
		for items := range slices.Chunk(o.Items, 7) {
			nodes = append(nodes, node(items))
		}
	case TypeZSet:
		sort.Sort(byScore{o})
		var items [][]byte
		for i, m := range o.Items {
			score := strconv.FormatFloat(o.Scores[i], 'g', -1, 64)
			if math.IsInf(o.Scores[i], 0) {
				score = strings.ToLower(strings.TrimPrefix(score, "+"))
			}
			items = append(items, m, []byte(score))
		}
		return []packed.Listpack{node(items)}, nil
	case TypeSet:
		var v []int64
		for _, it := range o.Items {
			n, ok := packed.ParseInt(it)
			if !ok {
				return nil, nil
			}
			v = append(v, n)
		}
		slices.Sort(v)
		return nil, packed.AppendIntset(nil, v...)
	}
	return nodes, nil
}

type byScore struct{ *Object }

func (s byScore) Len() int { return len(s.Items) }
func (s byScore) Less(i, j int) bool {
	if s.Scores[i] != s.Scores[j] {
		return s.Scores[i] < s.Scores[j]
	}
	return bytes.Compare(s.Items[i], s.Items[j]) < 0
}
func (s byScore) Swap(i, j int) {
	s.Items[i], s.Items[j] = s.Items[j], s.Items[i]
	s.Scores[i], s.Scores[j] = s.Scores[j], s.Scores[i]
}

// writePacked writes objects packed where version 10 of the format can.
func writePacked(t *testing.T, objs []Object) []byte {
	t.Helper()
	var buf bytes.Buffer
	w := NewWriter(&buf)
	w.Header(nil)
	for i := range objs {
		o := &objs[i]
		if i == 0 || o.DB != objs[i-1].DB {
			w.SelectDB(o.DB)
		}
		nodes, ints := packedOf(o)
		switch {
		case ints != nil:
			expire(w, o)
			w.Intset(o.Key, ints)
		case o.Type == TypeList:
			expire(w, o)
			w.BeginQuicklist(o.Key, len(nodes))
			for _, n := range nodes {
				w.Node(n)
			}
		case nodes != nil:
			expire(w, o)
			w.Listpack(o.Type, o.Key, nodes[0])
		default:
			writeObject(w, o)
		}
	}
	if err := w.End(); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

func expire(w *Writer, o *Object) {
	if o.ExpireMS != 0 {
		w.Expire(o.ExpireMS)
	}
}

func packedObjects(seed uint64, n int) []Object {
	objs := randomObjects(rand.New(rand.NewPCG(seed, 3)), n)
	for i, ints := range []Object{{Items: byteItems("5", "-1", "300")}, {Items: byteItems("7", "70000")}, {Items: byteItems("1", "5000000000")}} {
		ints.DB, ints.Type, ints.Key = objs[n-1].DB, TypeSet, []byte{'i', byte('0' + i)}
		objs = append(objs, ints)
	}
	return objs
}

// TestPackedRoundTrip requires that what was written packed is read the same,
// and handed out whole as it was written.
func TestPackedRoundTrip(t *testing.T) {
	for seed := range uint64(5) {
		objs := packedObjects(seed, 100)
		data := writePacked(t, objs)
		sameContents(t, "packed", toContents(objs), mustRead(t, data))
		i := 0
		err := Read(bytes.NewReader(data), Handler{Object: func(o *Object) error {
			nodes, ints := packedOf(&objs[i])
			var want packed.Listpack
			if len(nodes) == 1 {
				want = nodes[0]
			}
			if !bytes.Equal(o.Listpack, want) || !bytes.Equal(o.Intset, ints) {
				t.Errorf("%s %q comes as %.80x, %.80x; want %.80x, %.80x", o.Type, o.Key, o.Listpack, o.Intset, want, ints)
			}
			i++
			return nil
		}})
		if err != nil {
			t.Fatal(err)
		}
	}
}

// TestRedisLoadsPacked has a real Redis check and load what we write packed.
func TestRedisLoadsPacked(t *testing.T) {
	objs := packedObjects(77, 300)
	data := writePacked(t, objs)
	path := filepath.Join(t.TempDir(), "packed.rdb")
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command(tool(t, "redis-check-rdb"), path).CombinedOutput(); err != nil || !strings.Contains(string(out), "RDB looks OK") {
		t.Fatalf("redis-check-rdb: %v\n%s", err, out)
	}
	c, _ := startRedis(t, data)
	sameContents(t, "what redis-server loaded", toContents(objs), ask(t, c))
}
