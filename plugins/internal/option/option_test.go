package option

import (
	"encoding/json"
	"testing"
	"time"
)

func TestOptions(t *testing.T) {
	var o struct {
		D Duration `json:"d"`
		S Size     `json:"s"`
	}
	if err := json.Unmarshal([]byte(`{"d": "90s", "s": "16mb"}`), &o); err != nil || time.Duration(o.D) != 90*time.Second || o.S != 16<<20 {
		t.Errorf("%+v, %v", o, err)
	}
	if err := json.Unmarshal([]byte(`{"s": 4096}`), &o); err != nil || o.S != 4096 {
		t.Errorf("%+v, %v", o, err)
	}
	for _, bad := range []string{`{"d": 3}`, `{"d": "-1s"}`, `{"d": "soon"}`, `{"s": "big"}`, `{"s": 0}`, `{"s": []}`} {
		if err := json.Unmarshal([]byte(bad), &o); err == nil {
			t.Errorf("%s is accepted", bad)
		}
	}
	b, err := json.Marshal(Duration(time.Minute))
	if err != nil || string(b) != `"1m0s"` {
		t.Errorf("%s, %v", b, err)
	}
	if Duration(0).Or(time.Hour) != time.Hour || Duration(1).Or(time.Hour) != 1 {
		t.Error("Or")
	}
}
