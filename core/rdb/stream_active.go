package rdb

import "encoding/binary"

// When consumers were last active is in version 3 of a stream alone, which Redis reads since 7.2.
// What is written is version 2, whose readers take a consumer for active when it was seen; where
// that is not so, an aux field in front of the stream tells it, which Redis does not know and
// ignores: the time of each consumer, int64le, in the order in which they come.

// auxActive is the name of that field.
const auxActive = "spillway-active"

// activeTimes is the field for a stream, nil where none is needed.
func activeTimes(s *Stream) (times []byte) {
	needed := false
	for g := range s.Groups {
		for c := range g.Consumers {
			needed = needed || c.Active != c.Seen
			times = binary.LittleEndian.AppendUint64(times, uint64(c.Active))
		}
	}
	if !needed {
		return nil
	}
	return times
}

// setActive gives the consumers of a stream that was read the times of the field.
func (r *streamReader) setActive(times []byte) error {
	for i := range r.groups {
		for k := range r.groups[i].consumers {
			if len(times) < 8 {
				return r.d.corrupt("a stream with more consumers than there are times for")
			}
			r.groups[i].consumers[k].Active = int64(binary.LittleEndian.Uint64(times))
			times = times[8:]
		}
	}
	if len(times) > 0 {
		return r.d.corrupt("%d bytes of times for consumers that a stream does not have", len(times))
	}
	return nil
}
