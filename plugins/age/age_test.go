package age_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	fage "filippo.io/age"

	"github.com/spillwaydb/spillway/core/sink"
	"github.com/spillwaydb/spillway/plugins"
	"github.com/spillwaydb/spillway/plugins/age"
	"github.com/spillwaydb/spillway/plugins/plugintest"
	"github.com/spillwaydb/spillway/plugins/zstd"
)

var part = sink.Part{Kind: sink.KindSnapshot, Generation: 1, Shards: 1, Name: "shard-0000.rdb.age"}

func keys(t testing.TB) (public, secret string, id *fage.X25519Identity) {
	t.Helper()
	id, err := fage.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	return id.Recipient().String(), id.String(), id
}

func mk(t testing.TB, opts age.Options) sink.Stage {
	t.Helper()
	s, err := age.New(opts)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func both(t testing.TB) sink.Stage {
	pub, sec, _ := keys(t)
	return mk(t, age.Options{Recipients: []string{pub}, Identities: []string{sec}})
}

func encode(t testing.TB, s sink.Stage, data []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	if _, err := s.Encode(context.Background(), part, &out, bytes.NewReader(data)); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func decode(s sink.Stage, stored []byte) ([]byte, error) {
	var out bytes.Buffer
	err := s.Decode(context.Background(), part, nil, &out, bytes.NewReader(stored))
	return out.Bytes(), err
}

func TestConformance(t *testing.T) {
	plugintest.TestStage(t, both)
}

func TestMain(m *testing.M) { plugintest.Main(m, plugins.Stage(age.Name, age.New)) }

func TestConformanceOverWire(t *testing.T) {
	w := plugintest.Loopback(t)
	plugintest.TestStage(t, func(t testing.TB) sink.Stage {
		pub, sec, _ := keys(t)
		return w.Stage(t, age.Name, age.Options{Recipients: []string{pub}, Identities: []string{sec}})
	})
}

func TestStandardFormat(t *testing.T) {
	pub, sec, id := keys(t)
	s := mk(t, age.Options{Recipients: []string{pub}, Identities: []string{sec}})
	keyFile := filepath.Join(t.TempDir(), "key.txt")
	if err := os.WriteFile(keyFile, []byte(sec+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, n := range []int{0, 1, 1 << 20} {
		data := plugintest.Payload(n)
		stored := encode(t, s, data)
		r, err := fage.Decrypt(bytes.NewReader(stored), id)
		if err != nil {
			t.Fatal(err)
		}
		if back, err := io.ReadAll(r); err != nil || !bytes.Equal(back, data) {
			t.Errorf("%d bytes: the library reads %d back, %v", n, len(back), err)
		}
		if got := tool(t, "age", stored, "-d", "-i", keyFile); !bytes.Equal(got, data) {
			t.Errorf("%d bytes: age -d reads %d back", n, len(got))
		}
		theirs := tool(t, "age", data, "-r", pub)
		if got, err := decode(s, theirs); err != nil || !bytes.Equal(got, data) {
			t.Errorf("%d bytes of age -r: %d back, %v", n, len(got), err)
		}
	}
}

// age -d | zstd -d undoes the pipeline zstd → age without this program.
func TestNoLockIn(t *testing.T) {
	pub, sec, _ := keys(t)
	z, err := zstd.New(zstd.Options{})
	if err != nil {
		t.Fatal(err)
	}
	local := plugintest.NewMemSink("local")
	p := sink.NewPipeline("test", []sink.Stage{z, mk(t, age.Options{Recipients: []string{pub}, Identities: []string{sec}})}, local, nil, sink.PipelineOptions{VerifyDecode: true})
	data := plugintest.Payload(700_000)
	sp, err := p.Write(context.Background(), p.Part(1, sink.SetID{Generation: 1, Kind: sink.KindSnapshot}, 0, 1), func(w io.Writer) (int64, error) {
		_, err := w.Write(data)
		return 1, err
	}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if want := "shard-0000.rdb.zst.age"; sp.Part.Name != want {
		t.Errorf("part is named %s, want %s", sp.Part.Name, want)
	}
	rc, err := local.Open(context.Background(), sp.Part, sp.SinkReceipt)
	if err != nil {
		t.Fatal(err)
	}
	stored, err := io.ReadAll(rc)
	if err != nil {
		t.Fatal(err)
	}
	keyFile := filepath.Join(t.TempDir(), "key.txt")
	if err := os.WriteFile(keyFile, []byte(sec), 0o600); err != nil {
		t.Fatal(err)
	}
	if back := tool(t, "zstd", tool(t, "age", stored, "-d", "-i", keyFile), "-d", "-c"); !bytes.Equal(back, data) {
		t.Errorf("age -d | zstd -d gives %d other bytes", len(back))
	}
}

// tool runs Debian's age or zstd.
func tool(t *testing.T, name string, in []byte, args ...string) []byte {
	t.Helper()
	bin, err := exec.LookPath(name)
	if err != nil {
		t.Fatalf("this test needs %s: apt-get install %s (%v)", name, name, err)
	}
	var out, errs bytes.Buffer
	cmd := exec.Command(bin, args...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(in), &out, &errs
	if err := cmd.Run(); err != nil {
		t.Fatalf("%s %v: %v: %s", name, args, err, errs.String())
	}
	return out.Bytes()
}

func TestDamageIsAnError(t *testing.T) {
	s := both(t)
	stored := encode(t, s, plugintest.Payload(300_000))
	for cut := 0; cut < len(stored); cut += len(stored) / 50 {
		if _, err := decode(s, stored[:cut]); err == nil {
			t.Errorf("cut to %d of %d bytes: no error", cut, len(stored))
		}
	}
	if _, err := decode(s, append(bytes.Clone(stored), 'x')); err == nil {
		t.Error("a byte after the end: no error")
	}
	for i := 0; i < len(stored); i += len(stored) / 40 {
		bad := bytes.Clone(stored)
		bad[i] ^= 1
		if _, err := decode(s, bad); err == nil {
			t.Errorf("bit flipped in byte %d: no error", i)
		}
	}
}

func TestKeys(t *testing.T) {
	pub, sec, _ := keys(t)
	pub2, sec2, _ := keys(t)
	file := "# created by age-keygen\n# public key: " + pub + "\n\n" + sec + "\n"

	enc := mk(t, age.Options{Recipients: []string{"# backup\n" + pub + "\n" + pub2 + "\n"}})
	stored := encode(t, enc, []byte("secret"))
	for _, id := range []string{sec, sec2, file} {
		if got, err := decode(mk(t, age.Options{Identities: []string{id}}), stored); err != nil || string(got) != "secret" {
			t.Errorf("%q, %v", got, err)
		}
	}
	if _, err := decode(enc, stored); !errors.Is(err, age.ErrNoIdentities) || !sink.IsPermanent(err) {
		t.Errorf("decode without identities: %v", err)
	}
	if _, err := mk(t, age.Options{Identities: []string{sec}}).Encode(context.Background(), part, io.Discard, strings.NewReader("")); !errors.Is(err, age.ErrNoRecipients) {
		t.Errorf("encode without recipients: %v", err)
	}
	_, other, _ := keys(t)
	if _, err := decode(mk(t, age.Options{Identities: []string{other}}), stored); err == nil || !sink.IsPermanent(err) {
		t.Errorf("decode with another's identity: %v", err)
	}
}

func TestBadOptionsShowNoSecret(t *testing.T) {
	_, sec, _ := keys(t)
	broken := sec[:len(sec)-1] + "!"
	for _, opts := range []age.Options{
		{}, {Recipients: []string{""}}, {Recipients: []string{"age1nonsense"}}, {Recipients: []string{sec}},
		{Recipients: []string{strings.ToLower(sec)}}, {Identities: []string{broken}}, {Identities: []string{"# nothing\n"}},
	} {
		_, err := age.New(opts)
		if err == nil {
			t.Errorf("%d recipients, %d identities: no error", len(opts.Recipients), len(opts.Identities))
		} else if strings.Contains(strings.ToUpper(err.Error()), sec[20:40]) {
			t.Errorf("the error shows the key: %v", err)
		}
	}
}

// golden is what the first release stored, what it had been given, and the stage
// that can read it.
func golden(t testing.TB) (raw, stored []byte, s sink.Stage) {
	t.Helper()
	var files [3][]byte
	for i, name := range []string{"golden-v1.raw", "golden-v1.age", "golden-v1.key"} {
		b, err := os.ReadFile(filepath.Join("testdata", name))
		if err != nil {
			t.Fatal(err)
		}
		files[i] = b
	}
	id, err := fage.ParseIdentities(bytes.NewReader(files[2]))
	if err != nil {
		t.Fatal(err)
	}
	public := id[0].(*fage.X25519Identity).Recipient().String()
	return files[0], files[1], mk(t, age.Options{Recipients: []string{public}, Identities: []string{string(files[2])}})
}

// Golden files are never regenerated: what was stored once is read for ever.
func TestGolden(t *testing.T) {
	raw, stored, s := golden(t)
	if got, err := decode(s, stored); err != nil || !bytes.Equal(got, raw) {
		t.Errorf("%d other bytes, %v", len(got), err)
	}
}

// endless is a header that goes on: a stage must give up, not gather it.
type endless struct {
	begin string
	rest  byte
}

func (e *endless) Read(b []byte) (int, error) {
	n := copy(b, e.begin)
	e.begin = e.begin[n:]
	for i := n; i < len(b); i++ {
		b[i] = e.rest
	}
	return len(b), nil
}

func TestEndlessHeaders(t *testing.T) {
	_, _, s := golden(t)
	for _, begin := range []string{"", "age-encryption.org/v1\n", "age-encryption.org/v1\n-> X25519 ", "age-encryption.org/v1\n-> X25519 a\n"} {
		for _, rest := range []byte{'A', '\n', ' '} {
			used := plugintest.Allocated(func() {
				if err := s.Decode(context.Background(), part, nil, io.Discard, &endless{begin, rest}); err == nil {
					t.Errorf("%q and then %q for ever: no error", begin, rest)
				}
			})
			if used > 32<<20 {
				t.Errorf("%q and then %q for ever made %d bytes be allocated", begin, rest, used)
			}
		}
	}
}

func FuzzDecode(f *testing.F) {
	_, stored, s := golden(f)
	plugintest.FuzzStage(f, s, 2<<20, stored, []byte("age-encryption.org/v1\n-> X25519 a\n"))
}
