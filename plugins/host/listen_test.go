package host

import (
	"context"
	"errors"
	"path/filepath"
	"strings"
	"testing"
)

// TestListenBehindTheEnd: a call that comes when the process has ended and its sockets are
// removed fails with how that ended, not with what the removal looks like.
func TestListenBehindTheEnd(t *testing.T) {
	pr := &process{plugin: &Plugin{spec: Spec{Name: "good"}}, dir: filepath.Join(t.TempDir(), "gone")}
	pr.life, pr.end = context.WithCancelCause(context.Background())
	if _, err := pr.listen(1, "encode"); err == nil || !strings.Contains(err.Error(), "no such file") {
		t.Errorf("while it lives: %v", err)
	}
	end := errors.New("was killed by signal 9")
	pr.end(end)
	if _, err := pr.listen(2, "encode"); !errors.Is(err, end) || strings.Contains(err.Error(), "no such file") {
		t.Errorf("behind its end: %v", err)
	}
}
