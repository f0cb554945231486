package rdb

import (
	"fmt"
	"time"
)

// HeaderAt are the fields at the top of an RDB file of a state as it was at a
// moment, for [Writer.Header].
func HeaderAt(at time.Time) [][2]string {
	return [][2]string{{"redis-ver", "7.0.15"}, {"redis-bits", "64"}, {"ctime", fmt.Sprint(at.Unix())}}
}
