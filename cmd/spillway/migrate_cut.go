package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

// nearlyThere is how many bytes a daemon may be behind when the source is asked to hold
// back writes. It may be more for one that makes up for it within catchUp, at the rate
// at which it has applied what came: under load it may never be less.
const (
	nearlyThere = 1 << 20
	catchUp     = 5 * time.Second
)

// soonThere tells of what watch has seen whether the daemon is near enough.
func soonThere() func(standing) bool {
	var began time.Time
	var first int64
	return func(s standing) bool {
		if s.State != "following" {
			began = time.Time{}
			return false
		}
		if began.IsZero() {
			began, first = time.Now(), s.Offset
		}
		rate := float64(s.Offset-first) / max(time.Since(began).Seconds(), 1)
		return float64(s.Behind) <= max(nearlyThere, rate*catchUp.Seconds())
	}
}

// cutOver is what `migrate --cutover --json` prints.
type cutOver struct {
	standing
	Databases   []database `json:"databases"`
	Functions   int        `json:"functions"` // libraries
	Sampled     int        `json:"sampled"`   // keys that were compared
	Digest      string     `json:"digest"`    // of them, SHA-256, the same on both sides
	PausedUntil *time.Time `json:"source_paused_until,omitempty"`
	HeldBackMS  int64      `json:"held_back_ms"` // from the pause to the daemon's promotion
}

// database is how much one holds.
type database struct {
	DB      string `json:"db"`
	Keys    int64  `json:"keys"`
	Expires int64  `json:"expires"`
}

// cut ends the migration.
func (m *migration) cut(ctx context.Context) error {
	if _, err := m.watch(ctx, soonThere()); err != nil {
		return err
	}
	var out cutOver
	began := time.Now()
	if !m.noPause {
		if err := m.source.Do(ctx, "CLIENT", "PAUSE", m.pause.Milliseconds(), "WRITE").Err(); err != nil {
			return fmt.Errorf("the source does not hold back writes: %w\nStop who writes there, and add --no-pause", err)
		}
		until := began.Add(m.pause)
		out.PausedUntil = &until
	}
	err := m.compareAndPromote(ctx, &out, began)
	if err != nil {
		if !m.noPause {
			// Not with ctx, which may be why.
			letGo, cancel := context.WithTimeout(context.Background(), 5*time.Second)
			defer cancel()
			err = errors.Join(err, m.source.Do(letGo, "CLIENT", "UNPAUSE").Err())
		}
		return fmt.Errorf("not cut over, the daemon goes on following: %w", err)
	}
	out.State, out.HeldBackMS = "cut over", time.Since(began).Milliseconds()
	return m.reportCut(&out)
}

// compareAndPromote does what has to be done while nobody writes.
func (m *migration) compareAndPromote(ctx context.Context, out *cutOver, began time.Time) error {
	if !m.noPause {
		var cancel context.CancelFunc // when writes go on at the source it is too late
		ctx, cancel = context.WithDeadline(ctx, began.Add(m.pause*9/10))
		defer cancel()
	}
	source, err := replicationOf(ctx, m.source)
	if err != nil {
		return fmt.Errorf("the source: %w", err)
	}
	goal := numberIn(source["master_repl_offset"])
	if out.standing, err = m.watch(ctx, func(s standing) bool { return s.State == "following" && s.Offset >= goal }); err != nil {
		return fmt.Errorf("waiting for what the source has executed, up to offset %d: %w", goal, err)
	}
	if err := m.compare(ctx, out); err != nil {
		return err
	}
	if err := m.target.Do(ctx, "REPLICAOF", "NO", "ONE").Err(); err != nil {
		return fmt.Errorf("making the daemon its own master: %w", err)
	}
	return nil
}

// compare makes sure that both sides hold the same, as far as it looks.
func (m *migration) compare(ctx context.Context, out *cutOver) error {
	want, err := counts(ctx, m.source)
	if err != nil {
		return fmt.Errorf("counting the source's keys: %w", err)
	}
	got, err := counts(ctx, m.target)
	if err != nil {
		return fmt.Errorf("counting the daemon's keys: %w", err)
	}
	if !maps.Equal(got, want) {
		return fmt.Errorf("the counts differ: the source has %s, the daemon %s", countsText(want), countsText(got))
	}
	for _, name := range slices.Sorted(maps.Keys(want)) {
		out.Databases = append(out.Databases, want[name])
	}
	libraries := func(c *redis.Client) (int, error) {
		list, err := c.FunctionList(ctx, redis.FunctionListQuery{}).Result()
		return len(list), err
	}
	n, err := libraries(m.source)
	if err == nil { // an old server has none, a user may not be allowed to look
		if out.Functions, err = libraries(m.target); err != nil {
			return fmt.Errorf("listing the daemon's function libraries: %w", err)
		}
		if out.Functions != n {
			return fmt.Errorf("the source has %d function libraries, the daemon %d", n, out.Functions)
		}
	}
	return m.compareSample(ctx, out)
}

// counts is INFO keyspace.
func counts(ctx context.Context, c *redis.Client) (map[string]database, error) {
	text, err := c.Info(ctx, "keyspace").Result()
	if err != nil {
		return nil, err
	}
	out := make(map[string]database)
	for name, value := range infoFields(text) {
		d := database{DB: name}
		for field := range strings.SplitSeq(value, ",") {
			switch k, v, _ := strings.Cut(field, "="); k {
			case "keys":
				d.Keys = numberIn(v)
			case "expires":
				d.Expires = numberIn(v)
			}
		}
		if d.Keys > 0 {
			out[name] = d
		}
	}
	return out, nil
}

func countsText(m map[string]database) string {
	var out []string
	for _, name := range slices.Sorted(maps.Keys(m)) {
		out = append(out, fmt.Sprintf("%s: %d keys, %d with a deadline", name, m[name].Keys, m[name].Expires))
	}
	if len(out) == 0 {
		return "nothing"
	}
	return strings.Join(out, "; ")
}

func (m *migration) reportCut(c *cutOver) error {
	if m.json {
		return json.NewEncoder(m.out).Encode(c)
	}
	all := make(map[string]database)
	keys := int64(0)
	for _, d := range c.Databases {
		all[d.DB] = d
		keys += d.Keys
	}
	fmt.Fprintf(m.out, "cut over at offset %d: %s is its own master\n", c.Offset, c.To)
	fmt.Fprintf(m.out, "  both have %s (%s); %s\n", count(keys, "key"), countsText(all), count(c.Functions, "function library"))
	fmt.Fprintf(m.out, "  %s compared, value and deadline: SHA-256 %s on both sides\n", count(c.Sampled, "random key"), c.Digest)
	if c.PausedUntil != nil {
		fmt.Fprintf(m.out, "  writes were held back for %d ms so far; %s holds them back until %s:\n  move the clients, and stop it\n", c.HeldBackMS, c.From, c.PausedUntil.Format(time.TimeOnly))
	}
	return nil
}
