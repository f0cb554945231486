package wire_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/spillwaydb/spillway/core/sink"
	"github.com/spillwaydb/spillway/plugins/internal/wire"
)

// TestErrorsKeepTheirMeaning: what errors.Is says on one side, it says on the
// other.
func TestErrorsKeepTheirMeaning(t *testing.T) {
	sentinels := []error{
		sink.ErrCorrupt, sink.ErrPermanent, sink.ErrTransient, sink.ErrEarly,
		os.ErrNotExist, os.ErrExist, context.Canceled, context.DeadlineExceeded,
	}
	for _, err := range []error{
		errors.New("plain"),
		sink.Permanent(errors.New("refused")),
		sink.Transient(fmt.Errorf("timeout: %w", context.DeadlineExceeded)),
		&fs.PathError{Op: "open", Path: "x", Err: os.ErrNotExist},
		sink.Permanent(fmt.Errorf("put: %w", os.ErrExist)),
		fmt.Errorf("%w: and %w", sink.ErrCorrupt, sink.ErrTransient),
		fmt.Errorf("stopped: %w", context.Canceled),
		sink.ErrEarly,
	} {
		got, answered := wire.Failed(wire.Status(err))
		if !answered || got.Error() != err.Error() {
			t.Errorf("%q arrives as %q, answered %v", err, got, answered)
		}
		for _, s := range sentinels {
			if errors.Is(got, s) != errors.Is(err, s) {
				t.Errorf("%q: errors.Is %q is %v here and %v there", err, s, errors.Is(err, s), errors.Is(got, s))
			}
		}
	}
	if wire.Status(nil) != nil {
		t.Error("Status(nil) is an error")
	}
}

// TestPlainStatus: a plugin in another language says it by the code alone.
func TestPlainStatus(t *testing.T) {
	for code, want := range map[codes.Code]error{
		codes.NotFound: os.ErrNotExist, codes.AlreadyExists: os.ErrExist, codes.DataLoss: sink.ErrCorrupt,
		codes.InvalidArgument: sink.ErrPermanent, codes.PermissionDenied: sink.ErrPermanent,
		codes.FailedPrecondition: sink.ErrPermanent, codes.Aborted: sink.ErrEarly,
	} {
		got, answered := wire.Failed(status.Error(code, "no"))
		if !errors.Is(got, want) || !answered {
			t.Errorf("%s: %v (answered %v) is not %v", code, got, answered, want)
		}
	}
	for _, code := range []codes.Code{codes.Unavailable, codes.Internal, codes.Canceled, codes.Unimplemented} {
		if got, answered := wire.Failed(status.Error(code, "")); answered || got.Error() == "" {
			t.Errorf("%s is taken for the component's answer: %q", code, got)
		}
	}
}

func TestClean(t *testing.T) {
	for in, want := range map[string]string{
		" a\nb\tc ":     "a b c",
		"\x1b[31mred":   "?[31mred",
		"bad \xff utf":  "bad ? utf",
		"0123456789abc": "0123456789…",
		"012345678éabc": "012345678…",
		"":              "",
	} {
		if got := wire.Clean(in, 10); got != want {
			t.Errorf("Clean(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestDocument(t *testing.T) {
	set := sink.Set{
		ID: sink.SetID{Generation: 7, Kind: sink.KindRewrite}, CreatedAt: time.Unix(1_700_000_000, 0).UTC(),
		Parts: []sink.SetPart{{Part: sink.Part{Name: "x", Generation: 7, Kind: sink.KindRewrite}, SinkReceipt: sink.Receipt("r")}},
		Meta:  map[string]string{"big": strings.Repeat("<é>", 1<<20)},
	}
	doc, err := wire.Document(set)
	if err != nil {
		t.Fatal(err)
	}
	pieces := wire.Pieces(doc)
	for _, p := range pieces {
		if len(p) > wire.MaxPiece {
			t.Errorf("a piece of %d bytes", len(p))
		}
	}
	got, err := wire.SetFrom(bytes.Join(pieces, nil))
	if d := cmp.Diff(set, got); err != nil || d != "" || len(pieces) < 4 {
		t.Errorf("%d pieces, %v, %s", len(pieces), err, d)
	}
	if n := len(wire.Pieces(nil)); n != 1 {
		t.Errorf("an empty document has %d pieces", n)
	}
	p := sink.Part{Job: 3, Kind: sink.KindSegment, Generation: 9, Shard: 2, Shards: 4, Name: "segment-0002.aof"}
	if got := wire.PartFrom(wire.Part(p)); got != p {
		t.Errorf("part %+v", got)
	}
	if got := wire.SetIDFrom(wire.SetID(p.ID())); got != p.ID() {
		t.Errorf("set %+v", got)
	}
}
