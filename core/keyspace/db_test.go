package keyspace

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/spillwaydb/spillway/core/rdb"
)

const testNow = 1_700_000_000_000

func TestStatusAndDeadline(t *testing.T) {
	_, d := oneDB(t)
	a := []byte("a")
	if _, status := d.Get(a, testNow); status != Missing {
		t.Errorf("status %d", status)
	}
	d.SetString(a, []byte("v"), testNow+10)
	for _, tt := range []struct {
		now  int64
		want Status
	}{{0, Live}, {testNow, Live}, {testNow + 9, Live}, {testNow + 10, Expired}, {testNow + 11, Expired}} {
		if e, status := d.Get(a, tt.now); status != tt.want || e.Deadline() != testNow+10 {
			t.Errorf("at %d: status %d, deadline %d", tt.now, status, e.Deadline())
		}
	}
	if got := d.AvgTTL(testNow); got != 10 {
		t.Errorf("average TTL %d", got)
	}
	d.SetString([]byte("b"), nil, testNow+30)
	d.SetString([]byte("c"), nil, 0)
	if got := d.AvgTTL(testNow); got != 20 || d.Expires() != 2 || d.Len() != 3 {
		t.Errorf("average TTL %d of %d of %d keys", got, d.Expires(), d.Len())
	}
	if d.SetDeadline([]byte("none"), 5) || !d.SetDeadline(a, 0) || !d.SetDeadline([]byte("b"), -5) {
		t.Error("SetDeadline")
	}
	if e, _ := d.Get([]byte("b"), 0); e.Deadline() != 1 {
		t.Errorf("a negative deadline became %d", e.Deadline())
	}
	if got := d.AvgTTL(testNow); got != 0 || d.Expires() != 1 {
		t.Errorf("average TTL %d of %d keys", got, d.Expires())
	}
	// Sums of far deadlines do not overflow.
	for _, key := range []string{"x", "y", "z"} {
		d.SetString([]byte(key), nil, 1<<63-1)
	}
	d.Delete([]byte("b"))
	if got := d.AvgTTL(7); got != 1<<63-8 {
		t.Errorf("average TTL %d", got)
	}
}

func TestEncoding(t *testing.T) {
	_, d := oneDB(t)
	for _, tt := range []struct{ value, want string }{
		{"", "embstr"}, {"0", "int"}, {"-0", "embstr"}, {"-1", "int"}, {"01", "embstr"}, {"-", "embstr"}, {"1x", "embstr"},
		{"9223372036854775807", "int"}, {"9223372036854775808", "embstr"}, {"-9223372036854775808", "int"},
		{"-9223372036854775809", "embstr"}, {"99999999999999999999", "embstr"},
		{strings.Repeat("x", 44), "embstr"}, {strings.Repeat("x", 45), "raw"},
	} {
		d.SetString([]byte("k"), []byte(tt.value), 0)
		if e, _ := d.Get([]byte("k"), 0); e.Encoding() != tt.want {
			t.Errorf("%q is %s, want %s", tt.value, e.Encoding(), tt.want)
		}
	}
	d.SetString([]byte("k"), []byte("1"), 0)
	d.Append([]byte("k"), []byte("2"))
	e, _ := d.Get([]byte("k"), 0)
	if e.Encoding() != "raw" || string(e.Bytes()) != "12" || e.Type() != String || e.Mem() < 20 || e.Mem() > 200 {
		t.Errorf("%s %q %s %d", e.Encoding(), e.Bytes(), e.Type(), e.Mem())
	}
	for _, tt := range []struct {
		t    Type
		e    enc
		want string
	}{
		{List, encPacked, "quicklist"}, {List, encObject, "quicklist"}, {Set, encIntset, "intset"}, {Set, encObject, "hashtable"},
		{Set, encPacked, "listpack"}, {Hash, encPacked, "listpack"}, {Hash, encObject, "hashtable"},
		{ZSet, encPacked, "listpack"}, {ZSet, encObject, "skiplist"},
	} {
		if got := encodingName(tt.t, tt.e); got != tt.want {
			t.Errorf("%s %d is %s, want %s", tt.t, tt.e, got, tt.want)
		}
	}
}

func TestAccessClock(t *testing.T) {
	k, d := oneDB(t)
	key := []byte("k")
	at := func(now int64) Entry { e, _ := d.Get(key, now); return e }
	d.SetString(key, nil, 0)
	if got := at(testNow + 5000).Idle(testNow + 5000); got != 5 {
		t.Errorf("idle for %d s", got)
	}
	d.Touch(key, testNow+7000)
	if got := at(0).Idle(testNow + 9000); got != 2 {
		t.Errorf("idle for %d s", got)
	}
	k.SetLFU(true)
	d.Delete(key)
	d.SetString(key, nil, 0)
	if got := at(0).Freq(testNow); got != lfuInit {
		t.Errorf("a new key has frequency %d", got)
	}
	now := int64(testNow)
	for range 10_000 {
		d.Touch(key, now)
	}
	high := at(0).Freq(now)
	if high < 20 || high > 120 {
		t.Errorf("10000 accesses give frequency %d", high)
	}
	d.SetString(key, []byte("other"), 0)
	if got := at(0).Freq(now); got != high {
		t.Errorf("an overwritten key has frequency %d, before %d", got, high)
	}
	if got := at(0).Freq(now + 10*60_000); got != high-10 {
		t.Errorf("after ten minutes the frequency is %d, before %d", got, high)
	}
	k.ScaleLFU(10, 5)
	if got := at(0).Freq(now + 10*60_000); got != high-2 {
		t.Errorf("a counter that loses one in five minutes has %d after ten, and had %d", got, high)
	}
	k.ScaleLFU(10, 0)
	if got := at(0).Freq(now + 300*60_000); got != high {
		t.Errorf("a counter that loses nothing has %d, and had %d", got, high)
	}
	k.ScaleLFU(0, 1)
	for range 300 {
		at(0).Touch(now)
	}
	if got := at(0).Freq(now); got != 255 {
		t.Errorf("a counter that grows with every access has %d after 300", got)
	}
	k.ScaleLFU(10, 1)
	if got := at(0).Freq(now + 300*60_000); got != 0 {
		t.Errorf("after 300 minutes the frequency is %d", got)
	}
}

// TestAliases passes arguments that lie in the store itself.
func TestAliases(t *testing.T) {
	_, d := oneDB(t)
	a, b := []byte("a"), []byte("b")
	for _, n := range []int{5, 100, 5000, 100_000, 2 << 20} {
		want := bytes.Repeat([]byte("0123456789"), n/10+1)
		d.SetString(a, want, 0)
		own := func(key []byte) []byte { e, _ := d.Get(key, 0); return e.Bytes() }
		d.SetString(b, own(a), 5)
		d.SetString(a, own(a)[1:], 0)
		d.SetString(a, own(a)[:3], 77)
		if !bytes.Equal(own(b), want) || !bytes.Equal(own(a), want[1:4]) {
			t.Fatalf("n=%d: %.40q %.40q", n, own(a), own(b))
		}
		d.Append(b, own(b))
		if got := own(b); len(got) != 2*len(want) || !bytes.Equal(got[:len(want)], want) || !bytes.Equal(got[len(want):], want) {
			t.Fatalf("n=%d: appending to itself", n)
		}
		e, _ := d.Get(b, 0)
		d.Delete(e.Key())
		if d.Len() != 1 {
			t.Fatal("not deleted")
		}
	}
}

// TestInPlace expects updates of the same size to allocate nothing unless a
// view lives.
func TestInPlace(t *testing.T) {
	k, d := oneDB(t)
	key := []byte("k")
	address := func() *byte { e, _ := d.Get(key, 0); return &e.Bytes()[0] }
	d.SetString(key, []byte("11111111"), 0)
	at := address()
	d.SetString(key, []byte("22222222"), 0)
	if address() != at {
		t.Error("without a view, an update moved the value")
	}
	v, err := k.Shard(0).Freeze()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := k.Shard(0).Freeze(); err != ErrFrozen { // it is returned as it is
		t.Errorf("second Freeze: %v", err)
	}
	d.SetString(key, []byte("33333333"), 0)
	moved := address()
	if moved == at {
		t.Fatal("an update wrote what a view can see")
	}
	d.SetString(key, []byte("44444444"), 0)
	if address() != moved {
		t.Error("a value that is younger than the view moved")
	}
	k.Shard(0).Unlock()
	v.Release()
	k.Shard(0).Lock()
	if n := testing.AllocsPerRun(100, func() { d.SetString(key, []byte("55555555"), 0) }); n > 0 {
		t.Errorf("%v allocations per update", n)
	}
}

func TestExpireCycleBounds(t *testing.T) {
	_, d := oneDB(t)
	const keys = 5000
	for i := range keys {
		d.SetString([]byte{byte(i), byte(i >> 8)}, nil, testNow+int64(i%2)*1e9+1)
	}
	removed, calls := 0, 0
	for more := true; more; calls++ {
		n := 0
		more = d.ExpireCycle(testNow+5, 100, func(key []byte) {
			if _, status := d.Get(key, testNow+5); status != Expired {
				t.Fatalf("status %d of a key before its removal", status)
			}
			n++
		}, nil)
		if n > 100 {
			t.Fatalf("%d keys in one call", n)
		}
		removed += n
	}
	if removed != keys/2 || d.Len() != keys/2 || d.Expires() != keys/2 || calls < keys/200 {
		t.Errorf("%d removed in %d calls, %d left", removed, calls, d.Len())
	}
	if d.ExpireCycle(testNow+5, 100, func([]byte) { t.Error("one more") }, nil) {
		t.Error("there is more, it says")
	}
}

// TestFlushUnderView empties a database that a view reads.
func TestFlushUnderView(t *testing.T) {
	k := New(Config{Shards: 1, Databases: 2})
	fill(k, 20_000)
	s := k.Shard(0)
	s.Lock()
	v, _ := s.Freeze()
	used := s.used
	s.DB(0).Flush()
	s.DB(1).Flush()
	if s.used != 0 || used == 0 || s.DB(0).Len() != 0 {
		t.Errorf("%d of %d bytes after Flush, %d keys", s.used, used, s.DB(0).Len())
	}
	s.DB(0).SetString([]byte("new"), nil, 0)
	s.Unlock()
	w := rdb.NewWriter(new(bytes.Buffer))
	w.Header(nil)
	if n, err := v.Encode(w, nil); n != 20_000 || err != nil {
		t.Errorf("the view has %d keys, error %v", n, err)
	}
	v.Release()
	k.Close()
}

// TestFreezeDoesNotGrow compares the time of a freeze of few keys and of many.
func TestFreezeDoesNotGrow(t *testing.T) {
	k := New(Config{Shards: 1, Databases: 1})
	fill(k, 200_000)
	s := k.Shard(0)
	best := time.Hour
	for range 20 {
		s.Lock()
		start := time.Now()
		v, err := s.Freeze()
		best = min(best, time.Since(start))
		s.Unlock()
		if err != nil {
			t.Fatal(err)
		}
		v.Release()
	}
	if best > 100*time.Microsecond {
		t.Errorf("a freeze takes %s", best)
	}
	k.Close()
}
