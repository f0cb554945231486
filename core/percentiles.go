package core

import (
	"errors"
	"strconv"
	"strings"
	"sync/atomic"

	"github.com/spillwaydb/spillway/core/param"
)

// percentiles is the type of latency-tracking-info-percentiles.
var percentiles = param.List{
	Name: "percentiles", Of: "numbers from 0 to 100", Example: [2]string{"50", "99.9"},
	Reply: "Invalid latency-tracking-info-percentiles parameters", // Redis's wording
	Check: func(text string) (string, error) {
		numbers, err := parsePercentiles(text)
		return formatPercentiles(numbers), err
	},
}

func parsePercentiles(text string) (out []float64, err error) {
	for _, word := range strings.Fields(text) {
		p, err := strconv.ParseFloat(word, 64)
		if err != nil {
			return nil, errors.New("a percentile is a number from 0 to 100, which " + strconv.Quote(word) + " is not")
		}
		if !(p >= 0 && p <= 100) {
			return nil, &param.Error{
				Reply:  "latency-tracking-info-percentiles parameters should sit between [0.0,100.0]", // Redis's wording
				Detail: "a percentile is a number from 0 to 100, which " + word + " is not",
			}
		}
		out = append(out, p)
	}
	return out, nil
}

// formatPercentile is p with at most six digits behind the point.
func formatPercentile(p float64) string {
	text := strconv.FormatFloat(p, 'f', 6, 64)
	return strings.TrimSuffix(strings.TrimRight(text, "0"), ".")
}

func formatPercentiles(numbers []float64) string {
	var words []string
	for _, p := range numbers {
		words = append(words, formatPercentile(p))
	}
	return strings.Join(words, " ")
}

func percentilesVar(at *atomic.Pointer[[]float64]) param.Var {
	return param.Func{
		Get: func() string { return formatPercentiles(*at.Load()) },
		Put: func(text string) error {
			numbers, err := parsePercentiles(text)
			if err == nil {
				at.Store(&numbers)
			}
			return err
		},
	}
}
