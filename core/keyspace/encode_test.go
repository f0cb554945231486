package keyspace

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"

	"github.com/spillwaydb/spillway/core/rdb"
)

// freezeAll freezes every shard at one moment.
func freezeAll(t *testing.T, k *Keyspace) []*View {
	t.Helper()
	var views []*View
	for i := range k.NumShards() {
		k.Shard(i).Lock()
	}
	for i := range k.NumShards() {
		v, err := k.Shard(i).Freeze()
		if err != nil {
			t.Fatal(err)
		}
		views = append(views, v)
	}
	for i := range k.NumShards() {
		k.Shard(i).Unlock()
	}
	return views
}

func snapshot(v *View) ([]byte, error) {
	var out bytes.Buffer
	w := rdb.NewWriter(&out)
	if v.Dated() {
		w.DatedHeader(nil)
	} else {
		w.Header(nil)
	}
	progress := int64(0)
	keys, err := v.Encode(w, func(n int64) { progress += n })
	if err == nil && (keys != v.Keys() || progress != keys) {
		err = fmt.Errorf("%d keys written, %d of them told, of %d", keys, progress, v.Keys())
	}
	err = errors.Join(err, w.End())
	return out.Bytes(), err
}

// dump lists all keys and string values with their deadlines.
func dump(k *Keyspace, dbs int) map[string]string {
	all := map[string]string{}
	for i := range k.NumShards() {
		s := k.Shard(i)
		s.Lock()
		for n := range dbs {
			eachKey(s.DB(n).st, func(b blob) {
				all[fmt.Sprintf("%d/%s", n, b.key())] = fmt.Sprintf("%s@%d", b.payload(), b.deadline())
			})
		}
		s.Unlock()
	}
	return all
}

// TestSnapshotRoundTrip loads the views of three shards into two, while
// writers go on in the three.
func TestSnapshotRoundTrip(t *testing.T) {
	from, to := New(Config{Shards: 3, Databases: 4}), New(Config{Shards: 2, Databases: 4})
	defer from.Close()
	defer to.Close()
	write := func(round int) {
		for i := range 20_000 {
			key := fmt.Appendf(nil, "key:%d", i)
			s := from.Shard(from.ShardOf(key))
			s.Lock()
			d := s.DB(i % 3)
			if round > 0 && i%7 == 0 {
				d.Delete(key)
			} else {
				d.SetString(key, fmt.Appendf(nil, "%d:%d", round, i), int64(i%5)*1e12)
			}
			s.Unlock()
		}
	}
	write(0)
	want := dump(from, 4)
	views := freezeAll(t, from)
	var wg sync.WaitGroup
	wg.Add(2)
	stop := make(chan struct{})
	go func() {
		defer wg.Done()
		for round := 1; ; round++ {
			write(round)
			select {
			case <-stop:
				return
			default:
			}
		}
	}()
	go func() {
		defer wg.Done()
		defer close(stop)
		for range 3 {
			for i, v := range views {
				out, err := snapshot(v)
				if err == nil {
					err = rdb.Read(bytes.NewReader(out), rdb.Handler{Object: to.Load})
				}
				if err != nil {
					t.Errorf("shard %d: %v", i, err)
				}
			}
		}
	}()
	wg.Wait()
	got := dump(to, 4)
	if len(got) != len(want) {
		t.Errorf("%d keys, want %d", len(got), len(want))
	}
	for key, w := range want {
		if got[key] != w {
			t.Fatalf("%s: %q, want %q", key, got[key], w)
		}
	}
	for _, v := range views {
		v.EachDB(func(n, keys, expires int) {
			if n > 2 || keys == 0 || expires == 0 {
				t.Errorf("database %d has %d keys, %d with a deadline", n, keys, expires)
			}
		})
		v.Release()
	}
}

func TestEncodeCommands(t *testing.T) {
	k, d := oneDB(t)
	d.SetString([]byte("a"), []byte("x y"), 0)
	d.SetString([]byte("b"), nil, 1234)
	v, _ := k.Shard(0).Freeze()
	var got []string
	keys, err := v.EncodeCommands(func(args [][]byte) error {
		got = append(got, fmt.Sprintf("%q", args))
		return nil
	}, nil)
	all := strings.Join(got, "\n")
	if err != nil || keys != 2 || len(got) != 4 || got[0] != `["SELECT" "0"]` ||
		!strings.Contains(all, `["SET" "a" "x y"]`) || !strings.Contains(all, `["SET" "b" ""]`+"\n"+`["PEXPIREAT" "b" "1234"]`) {
		t.Errorf("%d keys, error %v:\n%s", keys, err, all)
	}
	stop := errors.New("stop")
	for n := range 4 {
		left := n
		_, err := v.EncodeCommands(func([][]byte) error {
			if left--; left < 0 {
				return stop
			}
			return nil
		}, nil)
		if !errors.Is(err, stop) {
			t.Errorf("failing at command %d gives %v", n, err)
		}
	}
}

type fullDisk struct{}

func (fullDisk) Write([]byte) (int, error) { return 0, io.ErrShortWrite }

// TestEncodeStops expects an encoder to stop soon after its writer failed.
func TestEncodeStops(t *testing.T) {
	k := New(Config{Shards: 1, Databases: 1})
	defer k.Close()
	fill(k, 100_000)
	v := freezeAll(t, k)[0]
	defer v.Release()
	w := rdb.NewWriter(fullDisk{})
	w.Header(nil)
	keys, err := v.Encode(w, nil)
	if !errors.Is(err, io.ErrShortWrite) || keys > 10_000 {
		t.Errorf("%d keys, error %v", keys, err)
	}
}

func TestLoad(t *testing.T) {
	k := New(Config{Shards: 1, Databases: 2, Now: testNow})
	defer k.Close()
	d := k.Shard(0).DB(1)
	load := func(o rdb.Object) {
		t.Helper()
		if err := k.Load(&o); err != nil {
			t.Error(err)
		}
	}
	load(rdb.Object{DB: 1, Key: []byte("a"), Str: []byte("v"), ExpireMS: 99, LRU: 30, LFU: -1})
	if e, status := d.Get([]byte("a"), 0); status != Live || string(e.Bytes()) != "v" || e.Deadline() != 99 || e.Idle(testNow) != 30 {
		t.Errorf("status %d, idle %d", status, e.Idle(testNow))
	}
	load(rdb.Object{DB: 1, Key: []byte("a"), Type: rdb.TypeSet, LRU: -1, LFU: -1})
	if d.Len() != 0 {
		t.Error("an empty set makes a key")
	}
	k.SetLFU(true)
	load(rdb.Object{DB: 1, Key: []byte("a"), LRU: -1, LFU: 200})
	if e, _ := d.Get([]byte("a"), 0); e.Freq(testNow) != 200 {
		t.Errorf("frequency %d", e.Freq(testNow))
	}
	for _, o := range []rdb.Object{{DB: 2}, {DB: -1}, {Type: 99}} {
		if err := k.Load(&o); err == nil {
			t.Errorf("loading %+v is no error", o)
		}
	}
}
