package age

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"filippo.io/age"

	"github.com/spillwaydb/spillway/core/sink"
)

// Name is the stage's name in configuration and manifests.
const Name = "age"

var (
	// ErrNoRecipients is wrapped by Encode of a stage without recipients.
	ErrNoRecipients = errors.New("no recipients to encrypt to")
	// ErrNoIdentities is wrapped by Decode of a stage without identities.
	ErrNoIdentities = errors.New("no identities to decrypt with")
)

// Options configure the stage. Each string is what a key file holds: one key
// per line; empty lines and lines that begin with # are skipped.
type Options struct {
	// Recipients are public keys, "age1…". Whoever has the identity of one
	// of them can decrypt.
	Recipients []string `hcl:"recipients,optional" json:"recipients,omitempty"`
	// Identities are secret keys, "AGE-SECRET-KEY-1…".
	Identities []string `hcl:"identities,optional" json:"identities,omitempty"`
}

type stage struct {
	recipients []age.Recipient
	identities []age.Identity
}

var _ sink.Stage = (*stage)(nil)

// New returns the stage.
func New(opts Options) (sink.Stage, error) {
	s := &stage{}
	for i, text := range opts.Recipients {
		if strings.Contains(strings.ToUpper(text), "AGE-SECRET-KEY-") {
			return nil, fmt.Errorf("age: recipient %d is a secret key; give the public key (age-keygen -y prints it)", i+1)
		}
		r, err := age.ParseRecipients(strings.NewReader(text))
		if err != nil {
			return nil, fmt.Errorf("age: recipient %d: %w; want \"age1…\"", i+1, err)
		}
		s.recipients = append(s.recipients, r...)
	}
	for i, text := range opts.Identities {
		// The cause may quote the key: it is not shown.
		ids, err := age.ParseIdentities(strings.NewReader(text))
		if err != nil {
			return nil, fmt.Errorf("age: identity %d is not an age secret key; want \"AGE-SECRET-KEY-1…\", as age-keygen writes it", i+1)
		}
		s.identities = append(s.identities, ids...)
	}
	if len(s.recipients) == 0 && len(s.identities) == 0 {
		return nil, errors.New("age: neither recipients nor identities; age-keygen makes a pair")
	}
	return s, nil
}

// Info implements sink.Stage.
func (s *stage) Info() sink.Info { return sink.Info{Name: Name, Version: "1", Suffix: ".age"} }

// Encode implements sink.Stage.
func (s *stage) Encode(ctx context.Context, _ sink.Part, dst io.Writer, src io.Reader) (sink.Receipt, error) {
	if len(s.recipients) == 0 {
		return nil, sink.Permanent(fmt.Errorf("age: %w; configure recipients", ErrNoRecipients))
	}
	w, err := age.Encrypt(dst, s.recipients...)
	if err != nil {
		return nil, fmt.Errorf("age: write the header: %w", err)
	}
	if _, err := io.CopyBuffer(w, src, make([]byte, 256<<10)); err != nil {
		return nil, fmt.Errorf("age: encrypt: %w", err) // not closed: the file must not look complete
	}
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	if err := w.Close(); err != nil {
		return nil, fmt.Errorf("age: finish the file: %w", err)
	}
	return nil, nil
}

// Decode implements sink.Stage.
func (s *stage) Decode(_ context.Context, _ sink.Part, _ sink.Receipt, dst io.Writer, src io.Reader) error {
	if len(s.identities) == 0 {
		return sink.Permanent(fmt.Errorf("age: %w: %w; configure identities", sink.ErrNoKey, ErrNoIdentities))
	}
	r, err := age.Decrypt(src, s.identities...)
	var none *age.NoIdentityMatchError
	if errors.As(err, &none) {
		return sink.Permanent(fmt.Errorf("age: %w: %w; configure the identity of a recipient it was encrypted to", sink.ErrNoKey, err))
	}
	if err != nil {
		return fmt.Errorf("age: read the header: %w", err)
	}
	if _, err := io.CopyBuffer(dst, r, make([]byte, 256<<10)); err != nil {
		return fmt.Errorf("age: decrypt: %w", err)
	}
	// age has met the end already; this makes sure for the caller.
	if n, err := io.Copy(io.Discard, src); n > 0 || err != nil {
		return fmt.Errorf("age: %d bytes after the end: %w", n, errors.Join(err, sink.ErrCorrupt))
	}
	return nil
}
