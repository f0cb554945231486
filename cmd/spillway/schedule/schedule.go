package schedule

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/adhocore/gronx"
)

// Schedule is a cron expression in a time zone. It is immutable.
type Schedule struct {
	text   string // as it was given
	fields string // five of them
	byHour bool   // the hour field names hours, and does not follow the time that passes
	zone   *time.Location
}

// named are the expressions that have a name.
var named = map[string]string{
	"@hourly": "0 * * * *", "@daily": "0 0 * * *", "@midnight": "0 0 * * *", "@weekly": "0 0 * * 0",
	"@monthly": "0 0 1 * *", "@yearly": "0 0 1 1 *", "@annually": "0 0 1 1 *",
}

// longest bounds an expression: each field can be a list of all its values.
const longest = 1024

// beginning is the moment from which Parse looks whether there is a next one. From any
// other one there is one as well: what repeats, repeats within eight years.
var beginning = time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC)

// Parse reads an expression. Errors say what is wrong with it; one that never comes, such
// as the 30th of February, is an error.
func Parse(expr string, zone *time.Location) (*Schedule, error) {
	s := &Schedule{text: strings.Join(strings.Fields(expr), " "), zone: zone}
	s.fields = s.text
	if strings.HasPrefix(s.text, "@") {
		if s.fields = named[strings.ToLower(s.text)]; s.fields == "" {
			return nil, fmt.Errorf("there is no %q; there are @hourly, @daily, @weekly, @monthly and @yearly", s.text)
		}
	}
	fields := strings.Fields(s.fields)
	if len(fields) != 5 {
		return nil, fmt.Errorf("it has %d fields; want the five of cron: minute, hour, day and month, weekday", len(fields))
	}
	if len(s.fields) > longest {
		return nil, fmt.Errorf("it has %d characters, and %d at most are read", len(s.fields), longest)
	}
	for i, name := range []string{"minute", "hour", "day of month", "month", "day of week"} {
		alone := slices.Repeat([]string{"*"}, 5)
		alone[i] = fields[i]
		if !gronx.IsValid(strings.Join(alone, " ")) {
			return nil, fmt.Errorf("%q is no %s", fields[i], name)
		}
	}
	s.byHour = !strings.HasPrefix(fields[1], "*")
	if s.in(beginning, time.UTC, false).IsZero() {
		return nil, errors.New("that never comes")
	}
	return s, nil
}

// String is the expression as it was given.
func (s *Schedule) String() string { return s.text }

// Zone is the name of the time zone.
func (s *Schedule) Zone() string { return s.zone.String() }

// Same tells whether two schedules are alike; nil is like nil.
func (s *Schedule) Same(o *Schedule) bool {
	if s == nil || o == nil {
		return s == o
	}
	return s.text == o.text && s.Zone() == o.Zone()
}

// mostChanges bounds how many changes of the clock Next looks across: four of them in
// each of eight years.
const mostChanges = 32

// Next is the first moment after t, in the schedule's zone. It is the zero time if none
// was found, which for what Parse has accepted does not happen.
func (s *Schedule) Next(t time.Time) time.Time {
	after, inclusive := t.In(s.zone), false
	if start, _ := after.ZoneBounds(); s.byHour && !start.IsZero() {
		if once := start.Add(repeated(start)); after.Before(once) {
			after, inclusive = once, true
		}
	}
	for range mostChanges {
		// Up to the next change of the clock the zone is a fixed distance from UTC.
		_, change := after.ZoneBounds()
		_, offset := after.Zone()
		next := s.in(after, time.FixedZone("", offset), inclusive)
		if next.IsZero() || change.IsZero() || next.Before(change) {
			return s.local(next)
		}
		after, inclusive = change, true
		if !s.byHour {
			continue
		}
		again := repeated(change)
		if next.Before(change.Add(-again)) {
			return s.local(change) // its time is skipped
		}
		after = after.Add(max(again, 0))
	}
	return time.Time{}
}

// repeated is for how long, from a change of the clock on, the times of day are there for
// the second time: below 0 is how much of them was skipped.
func repeated(change time.Time) time.Duration {
	_, before := change.Add(-1).Zone()
	_, after := change.Zone()
	return time.Duration(before-after) * time.Second
}

// in is the next moment as if a zone had one offset for ever.
func (s *Schedule) in(t time.Time, zone *time.Location, inclusive bool) time.Time {
	next, err := gronx.NextTickAfter(s.fields, t.In(zone), inclusive)
	if err != nil {
		return time.Time{}
	}
	return next
}

func (s *Schedule) local(t time.Time) time.Time {
	if t.IsZero() {
		return t
	}
	return t.In(s.zone)
}
