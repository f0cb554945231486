package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

const (
	// wholeValue is how many elements, or bytes of a string, a key may have to be
	// compared as a whole; of a larger one both ends are, or a part.
	wholeValue = 10_000
	// partOfValue is how many of a larger one.
	partOfValue = 500
	// readsOfADifference is how often a key is read before it counts as different.
	readsOfADifference = 5
)

// compareSample compares random keys of the source with the daemon's.
func (m *migration) compareSample(ctx context.Context, out *cutOver) error {
	total := int64(0)
	for _, d := range out.Databases {
		total += d.Keys
	}
	sums := [2]hash.Hash{sha256.New(), sha256.New()}
	var differ []string
	for _, d := range out.Databases {
		db, err := strconv.Atoi(strings.TrimPrefix(d.DB, "db"))
		if err != nil {
			return fmt.Errorf("INFO keyspace names the database %q", d.DB)
		}
		n := int(min(d.Keys, max(1, int64(m.sample)*d.Keys/total)))
		if m.sample == 0 {
			n = 0
		}
		err = m.compareDB(ctx, db, n, func(key, want, got string) {
			out.Sampled++
			sums[0].Write([]byte(want)) // of a hash
			sums[1].Write([]byte(got))
			if want != got {
				differ = append(differ, fmt.Sprintf("%s %q", d.DB, key))
			}
		})
		if err != nil {
			return err
		}
	}
	if len(differ) > 0 {
		return fmt.Errorf("%d of %d keys that were compared differ, such as %s", len(differ), out.Sampled, strings.Join(differ[:min(5, len(differ))], ", "))
	}
	out.Digest = hex.EncodeToString(sums[1].Sum(nil))
	return nil
}

// compareDB hands n random keys of a database to each, with what both sides have.
func (m *migration) compareDB(ctx context.Context, db, n int, each func(key, want, got string)) error {
	var sides [2]*redis.Conn
	for i, c := range []*redis.Client{m.source, m.target} {
		sides[i] = c.Conn()
		defer func() { _ = sides[i].Close() }()
		if err := sides[i].Select(ctx, db).Err(); err != nil {
			return err
		}
		defer func() { _ = sides[i].Select(ctx, 0).Err() }() // the connection is used again
	}
	for range n {
		key, err := sides[0].RandomKey(ctx).Result()
		if errors.Is(err, redis.Nil) {
			return nil // all that is left there has expired
		}
		if err != nil {
			return fmt.Errorf("RANDOMKEY: %w", err)
		}
		texts, err := bothTexts(ctx, sides, key)
		if err != nil {
			return fmt.Errorf("comparing %q: %w", key, err)
		}
		each(key, texts[0], texts[1])
	}
	return nil
}

// bothTexts is what both sides have at a key. Nobody writes meanwhile, so a difference
// that is one stays; a key whose deadline comes between the two reads is gone on both
// sides a moment later.
func bothTexts(ctx context.Context, sides [2]*redis.Conn, key string) (texts [2]string, err error) {
	for try := range readsOfADifference {
		if try > 0 {
			select {
			case <-ctx.Done():
				return texts, ctx.Err()
			case <-time.After(time.Duration(try) * 20 * time.Millisecond):
			}
		}
		var pick []string
		for i, c := range sides {
			if texts[i], err = keyText(ctx, c, key, &pick); err != nil {
				return texts, err
			}
		}
		if texts[0] == texts[1] {
			break
		}
	}
	return texts, nil
}

// keyText is a key's type, deadline and value, the same for what is the same. Of a
// large set or hash it is a few members: those that the first call has picked.
func keyText(ctx context.Context, c *redis.Conn, key string, pick *[]string) (string, error) {
	typ, err := c.Type(ctx, key).Result()
	if err != nil {
		return "", err
	}
	deadline, err := c.Do(ctx, "PEXPIRETIME", key).Result()
	if err != nil {
		return "", err
	}
	var value any
	switch typ {
	case "none":
	case "string":
		value, err = stringText(ctx, c, key)
	case "list":
		value, err = bothEnds(ctx, c, []any{"LLEN", key}, []any{"LRANGE", key})
	case "zset":
		value, err = bothEnds(ctx, c, []any{"ZCARD", key}, []any{"ZRANGE", key}, "WITHSCORES")
		spellScores(value)
	case "set":
		value, err = membersText(ctx, c, key, pick, "SCARD", "SMEMBERS", "SSCAN", "SMISMEMBER")
	case "hash":
		value, err = membersText(ctx, c, key, pick, "HLEN", "HGETALL", "HSCAN", "HMGET")
	case "stream":
		value, err = streamEnds(ctx, c, key)
	default:
		return "", fmt.Errorf("it is a %s", typ)
	}
	return fmt.Sprintf("%q %s %v %q\n", key, typ, deadline, value), err
}

func stringText(ctx context.Context, c *redis.Conn, key string) (any, error) {
	n, err := c.StrLen(ctx, key).Result()
	if err != nil || n <= wholeValue {
		v, err := c.Get(ctx, key).Result()
		if errors.Is(err, redis.Nil) { // it has just expired
			return "", nil
		}
		return v, err
	}
	first, err := c.GetRange(ctx, key, 0, wholeValue/2).Result()
	if err != nil {
		return nil, err
	}
	last, err := c.GetRange(ctx, key, -wholeValue/2, -1).Result()
	return []any{n, first, last}, err
}

// bothEnds reads what has an order, or both ends of it.
func bothEnds(ctx context.Context, c *redis.Conn, size, read []any, with ...any) (any, error) {
	n, err := c.Do(ctx, size...).Int64()
	if err != nil {
		return nil, err
	}
	ranges := [][2]int64{{0, -1}}
	if n > wholeValue {
		ranges = [][2]int64{{0, partOfValue - 1}, {-partOfValue, -1}}
	}
	out := []any{n}
	for _, r := range ranges {
		v, err := c.Do(ctx, slices.Concat(read, []any{r[0], r[1]}, with)...).Result()
		if err != nil {
			return nil, err
		}
		out = append(out, v)
	}
	return out, nil
}

// spellScores writes the scores that ZRANGE has returned as this program does: servers
// spell the same number in different ways.
func spellScores(value any) {
	parts, _ := value.([]any)
	for _, p := range parts {
		pairs, _ := p.([]any)
		for i := 1; i < len(pairs); i += 2 {
			if f, err := strconv.ParseFloat(fmt.Sprint(pairs[i]), 64); err == nil {
				pairs[i] = f
			}
		}
	}
}

// membersText reads what has no order, or some of it.
func membersText(ctx context.Context, c *redis.Conn, key string, pick *[]string, size, all, scan, some string) (any, error) {
	n, err := c.Do(ctx, size, key).Int64()
	if err != nil {
		return nil, err
	}
	if n <= wholeValue {
		list, err := c.Do(ctx, all, key).StringSlice()
		if err != nil {
			return nil, err
		}
		step := len(list) / max(int(n), 1) // a hash's fields stand before their values
		var pairs []string
		for i := 0; i+step <= len(list) && step > 0; i += step {
			pairs = append(pairs, fmt.Sprintf("%q", list[i:i+step]))
		}
		slices.Sort(pairs)
		return pairs, nil
	}
	if len(*pick) == 0 {
		reply, err := c.Do(ctx, scan, key, 0, "COUNT", partOfValue).Slice()
		if err != nil {
			return nil, err
		}
		found, _ := reply[1].([]any)
		step := 1
		if scan == "HSCAN" {
			step = 2
		}
		for i := 0; i < len(found); i += step {
			*pick = append(*pick, fmt.Sprint(found[i]))
		}
	}
	args := []any{some, key}
	for _, p := range *pick {
		args = append(args, p)
	}
	v, err := c.Do(ctx, args...).Result()
	return []any{n, *pick, v}, err
}

// streamEnds reads a stream, or both ends of it, and what its groups have come to.
func streamEnds(ctx context.Context, c *redis.Conn, key string) (any, error) {
	n, err := c.XLen(ctx, key).Result()
	if err != nil {
		return nil, err
	}
	out := []any{n}
	reads := [][]any{{"XRANGE", key, "-", "+"}}
	if n > wholeValue {
		reads = [][]any{{"XRANGE", key, "-", "+", "COUNT", partOfValue}, {"XREVRANGE", key, "+", "-", "COUNT", partOfValue}}
	}
	for _, r := range reads {
		v, err := c.Do(ctx, r...).Result()
		if err != nil {
			return nil, err
		}
		out = append(out, v)
	}
	groups, err := c.XInfoGroups(ctx, key).Result()
	if err != nil {
		return nil, err
	}
	for _, g := range groups {
		out = append(out, g.Name, g.Consumers, g.Pending, g.LastDeliveredID)
	}
	return out, nil
}
