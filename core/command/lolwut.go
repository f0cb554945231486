package command

import (
	"math"
	"strings"
)

// lolwut draws waves that differ each time, in place of the pictures of Redis, and
// names the version as Redis does.
func lolwut(c *Ctx) {
	if len(c.Args) > 2 && is(c.Args[1], "version") {
		if _, ok := c.intArg(c.Args[2]); !ok {
			return
		}
	}
	const width, height = 64, 10
	shades := []rune(" .:-=+*#%@")
	a, b := 0.05+c.Rand.Float64()/5, 0.1+c.Rand.Float64()
	var picture strings.Builder
	for y := range height {
		for x := range width {
			v := (math.Sin(float64(x)*a+float64(y)*b) + math.Cos(float64(y)*a*3-float64(x)*b/4) + 2) / 4
			picture.WriteRune(shades[int(v*float64(len(shades)-1))])
		}
		picture.WriteByte('\n')
	}
	picture.WriteString("\nRedis ver. " + RedisVersion + "\n")
	c.Out.Verbatim("txt", picture.String())
}
