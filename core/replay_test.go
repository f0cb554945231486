package core_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/spillwaydb/spillway/core"
	"github.com/spillwaydb/spillway/core/coretest"
	"github.com/spillwaydb/spillway/core/sink"
)

// TestPartThatDoesNotApply: a stage gives back something else than it was given.
// The start says what is wrong and where, although it cannot say why.
func TestPartThatDoesNotApply(t *testing.T) {
	var twist [2]string
	var data []byte
	h := coretest.New(t, func(o *core.Options) {
		o.Shards, o.Stages = 1, []sink.Stage{twister{&twist, &data}}
	})
	h.Do("SADD", "s", "a")
	h.Do("HSET", "h", "f", "1")
	if err := h.DB.RewriteAOF(context.Background()); err != nil {
		t.Fatal(err)
	}
	_ = h.DB.Close()
	for _, c := range []struct{ from, to, at, want string }{
		{"SADD", "SPOT", "*3\r\n$4\r\nSPOT", `"SPOT" is no write command; start the version that wrote it, restore a backup`},
		{"$1\r\ns\r\n", "$1\r\nh\r\n", "*", `does not apply to the state before it: WRONGTYPE`},
	} {
		twist = [2]string{c.from, c.to}
		err := h.TryOpen()
		place := fmt.Sprintf("shard-0000.aof.twist, offset %d: ", bytes.LastIndex(data, []byte(c.at)))
		if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), place) {
			t.Errorf("%q, want %q: %v", c.to, place, err)
		}
	}
	twist = [2]string{}
	h.Open()
	if got := h.Do("SMEMBERS", "s"); got != `["a"]` {
		t.Error(got)
	}
}

// twister is a stage whose decoder replaces one thing by another, and keeps
// what comes of that.
type twister struct {
	twist *[2]string
	data  *[]byte
}

func (twister) Info() sink.Info { return sink.Info{Name: "twist", Version: "1", Suffix: ".twist"} }

func (twister) Encode(_ context.Context, _ sink.Part, dst io.Writer, src io.Reader) (sink.Receipt, error) {
	_, err := io.Copy(dst, src)
	return nil, err
}

func (s twister) Decode(_ context.Context, _ sink.Part, _ sink.Receipt, dst io.Writer, src io.Reader) error {
	data, err := io.ReadAll(src)
	if err == nil && s.twist[0] != "" {
		data = []byte(strings.ReplaceAll(string(data), s.twist[0], s.twist[1]))
		*s.data = data
	}
	if err == nil {
		_, err = dst.Write(data)
	}
	return err
}
