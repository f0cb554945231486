package arena

import (
	"bytes"
	"flag"
	"math/rand/v2"
	"testing"
	"time"
)

var seed = flag.Uint64("seed", uint64(time.Now().UnixNano()), "seed of the random tests") // any

func TestClasses(t *testing.T) {
	for size := 0; size <= maxSmall; size++ {
		c := classOf(size)
		if int(classSizes[c]) < size || c > 0 && int(classSizes[c-1]) >= max(size, 1) {
			t.Fatalf("size %d: class %d of %d bytes", size, c, classSizes[c])
		}
	}
	if got := classSizes[numClasses-1]; got != maxSmall {
		t.Fatalf("largest class is %d", got)
	}
	for _, tt := range []struct{ size, want int }{{1, 16}, {96, 96}, {97, 112}, {1025, 1152}, {4096, 4096}, {8193, 12288}, {1 << 20, 1 << 20}} {
		if got := Size(tt.size); got != tt.want {
			t.Errorf("Size(%d) = %d, want %d", tt.size, got, tt.want)
		}
	}
}

// model is what an Arena should hold.
type model struct {
	t      *testing.T
	a      *Arena
	blocks map[Ref]block
	order  []Ref
	used   int64
}

type block struct {
	size int
	fill byte
}

func (m *model) alloc(size int, fill byte) {
	r := m.a.Alloc(size)
	if r == 0 || r>>RefBits != 0 {
		m.t.Fatalf("Alloc(%d) = %#x", size, r)
	}
	if _, taken := m.blocks[r]; taken {
		m.t.Fatalf("Alloc(%d) gave %#x twice", size, r)
	}
	if got := m.a.BlockSize(r); got != Size(size) {
		m.t.Fatalf("block of %d bytes has %d, want %d", size, got, Size(size))
	}
	b := m.a.Bytes(r, Size(size))
	for i := range b {
		b[i] = fill
	}
	m.blocks[r] = block{size, fill}
	m.order = append(m.order, r)
	m.used += int64(Size(size))
}

func (m *model) free(i int) {
	r := m.order[i]
	m.order[i] = m.order[len(m.order)-1]
	m.order = m.order[:len(m.order)-1]
	m.check(r)
	m.used -= int64(Size(m.blocks[r].size))
	delete(m.blocks, r)
	m.a.Free(r)
}

// compact moves of what lies in thin chunks one block in so many, and tries that
// nothing comes to lie there meanwhile.
func (m *model) compact(looks int, atMost int64, oneIn int) {
	m.a.Thin(looks, atMost)
	for i := 0; i < len(m.order); i += oneIn {
		r := m.order[i]
		if !m.a.InThin(r) {
			continue
		}
		b := m.blocks[r]
		to := m.a.Alloc(b.size)
		if m.a.InThin(to) {
			m.t.Fatalf("block %#x was put into a chunk that is to become empty", to)
		}
		copy(m.a.Bytes(to, Size(b.size)), m.a.Bytes(r, Size(b.size)))
		delete(m.blocks, r)
		m.a.Free(r)
		m.blocks[to], m.order[i] = b, to
	}
	m.a.Settle(oneIn * 40)
}

func (m *model) check(r Ref) {
	b := m.blocks[r]
	got := m.a.Bytes(r, Size(b.size))
	if bytes.Count(got, []byte{b.fill}) != len(got) {
		m.t.Fatalf("block %#x of %d bytes was overwritten", r, b.size)
	}
}

// step applies one operation, which three bytes choose.
func (m *model) step(op, x, y byte) {
	switch {
	case op >= 252:
		m.compact(1+int(x), int64(y)<<12, int(op)-251)
	case op%3 == 0 && len(m.order) > 0:
		m.free((int(x)<<8 | int(y)) % len(m.order))
	default:
		sizes := [...]int{int(x), int(x)<<4 | int(y), int(x)<<8 | int(y), (int(x)<<8 | int(y)) << 4, 16 << (x % 8)}
		m.alloc(sizes[int(op/3)%len(sizes)], y)
	}
	if m.a.Used() != m.used {
		m.t.Fatalf("used %d, want %d", m.a.Used(), m.used)
	}
}

func TestModel(t *testing.T) {
	t.Logf("replay with -run TestModel -seed %d", *seed)
	rng := rand.New(rand.NewPCG(*seed, 1))
	m := &model{t: t, a: New(), blocks: map[Ref]block{}}
	for range 20 {
		grow := byte(rng.IntN(3))
		for range 1000 {
			op := byte(rng.Uint32())
			if rng.IntN(3) == 0 {
				op = grow
			}
			m.step(op, byte(rng.Uint32()), byte(rng.Uint32()))
		}
		for r := range m.blocks {
			m.check(r)
		}
	}
	for len(m.order) > 0 {
		m.free(rng.IntN(len(m.order)))
	}
	if m.a.Used() != 0 {
		t.Errorf("all freed, %d bytes used", m.a.Used())
	}
	// What is kept: the last span of each class, and a share of empty chunks.
	if got := m.a.Mapped(); got > 64<<20 {
		t.Errorf("all freed, %d MiB mapped", got>>20)
	}
	m.a.Close()
}

func FuzzModel(f *testing.F) {
	f.Add([]byte{1, 2, 3, 4, 5, 6, 0, 0, 0})
	f.Add([]byte{10, 255, 255, 13, 1, 1, 0, 0, 1, 0, 0, 0})
	f.Fuzz(func(t *testing.T, ops []byte) {
		if len(ops) > 3*200 {
			return
		}
		m := &model{t: t, a: New(), blocks: map[Ref]block{}}
		defer m.a.Close()
		for ; len(ops) >= 3; ops = ops[3:] {
			m.step(ops[0], ops[1], ops[2])
		}
		for r := range m.blocks {
			m.check(r)
		}
	})
}

// TestMemoryReturns frees all but little and expects most chunks back.
func TestMemoryReturns(t *testing.T) {
	a := New()
	defer a.Close()
	var refs []Ref
	for i := range 100_000 {
		refs = append(refs, a.Alloc(100+i%2000))
	}
	peak := a.Mapped()
	for _, r := range refs[1000:] {
		a.Free(r)
	}
	if got := a.Mapped(); got > peak/4 {
		t.Errorf("%d of %d MiB still mapped", got>>20, peak>>20)
	}
}

// TestThin frees most blocks in no order and expects, when what is left was moved,
// that the memory is back, and a limited part of it moved at a time.
func TestThin(t *testing.T) {
	rng := rand.New(rand.NewPCG(*seed, 2))
	m := &model{t: t, a: New(), blocks: map[Ref]block{}}
	defer m.a.Close()
	for i := range 30_000 {
		size := 100 + rng.IntN(4000)
		if i%50 == 0 {
			size = 20 << 10
		}
		m.alloc(size, byte(i))
	}
	peak := m.a.Mapped()
	for len(m.order) > 3000 {
		m.free(rng.IntN(len(m.order)))
	}
	if got := m.a.Mapped(); got < peak/2 {
		t.Fatalf("%d of %d MiB are mapped before anything is moved: the test tries nothing", got>>20, peak>>20)
	}
	for round := 0; m.a.Wasteful(); round++ {
		if round == 1000 {
			t.Fatalf("%d MiB mapped for %d, and no end", m.a.Mapped()>>20, m.a.Used()>>20)
		}
		before := m.a.Mapped()
		m.a.Thin(40, 2<<20)
		for i, r := range m.order {
			if m.a.InThin(r) {
				m.a.Free(r) // its bytes stay until the next Alloc
				m.order[i] = m.a.Alloc(m.blocks[r].size)
				b := m.blocks[r]
				delete(m.blocks, r)
				for j := range m.a.Bytes(m.order[i], Size(b.size)) {
					m.a.Bytes(m.order[i], Size(b.size))[j] = b.fill
				}
				m.blocks[m.order[i]] = b
			}
		}
		for !m.a.Settle(3) {
		}
		if got := m.a.Mapped(); got > before+4<<20 {
			t.Fatalf("a round took %d MiB more", (got-before)>>20)
		}
	}
	for r := range m.blocks {
		m.check(r)
	}
	if got, limit := m.a.Mapped(), m.a.Used()*5/4+thinWaste; got > limit {
		t.Errorf("%d MiB are mapped for %d, want at most %d", got>>20, m.a.Used()>>20, limit>>20)
	}
	t.Logf("%d MiB mapped, then %d for %d", peak>>20, m.a.Mapped()>>20, m.a.Used()>>20)
}

// TestReader reads blocks without the lock while the arena allocates and frees
// others; the race detector judges.
func TestReader(t *testing.T) {
	a := New()
	defer a.Close()
	var refs []Ref
	for i := range 2000 {
		r := a.Alloc(100)
		copy(a.Bytes(r, 100), bytes.Repeat([]byte{byte(i)}, 100))
		refs = append(refs, r)
	}
	reader := a.Reader
	done := make(chan string)
	go func() {
		for i, r := range refs {
			if got := reader.Bytes(r, 100); bytes.Count(got, []byte{byte(i)}) != 100 {
				done <- "a block changed"
				return
			}
		}
		done <- ""
	}()
	var mine []Ref
	for i := range 5000 {
		mine = append(mine, a.Alloc(i*7%9000))
		if i%3 == 0 {
			a.Free(mine[len(mine)-1])
		}
	}
	if msg := <-done; msg != "" {
		t.Error(msg)
	}
}

func BenchmarkAllocFree(b *testing.B) {
	a := New()
	defer a.Close()
	const live = 1 << 16
	refs := make([]Ref, live)
	for i := range refs {
		refs[i] = a.Alloc(96)
	}
	rng := rand.New(rand.NewPCG(1, 1))
	for b.Loop() {
		i := rng.Uint32() % live
		a.Free(refs[i])
		refs[i] = a.Alloc(96)
	}
}
