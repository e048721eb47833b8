package builder

import (
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/hardstand/hardstand/canary/alert"
)

func TestPair(t *testing.T) {
	const second = 1_000_000
	tierA := func(pid int, at int64) alert.Alarm {
		return alert.Alarm{Verdict: alert.Verified, Event: alert.Event{Build: "b", Decoy: "ls", PID: pid, Time: at}}
	}
	tierB := func(pid int, at int64) alert.Alarm {
		a := tierA(pid, at)
		a.Event.Uptime, a.Event.Argv = 1, []string{"ls"}
		return a
	}
	forged := alert.Alarm{Verdict: alert.Forged}
	tests := map[string]struct {
		log  []alert.Alarm
		want string
	}{
		"one execution":     {[]alert.Alarm{tierA(7, 0), tierB(7, 2000)}, "7+"},
		"interleaved":       {[]alert.Alarm{tierA(7, 0), tierA(8, 10), tierB(8, 2000), tierB(7, 3000)}, "8+ 7+"},
		"tier A alone":      {[]alert.Alarm{tierA(7, 0), tierA(8, 0)}, "7 8"},
		"tier B alone":      {[]alert.Alarm{tierB(7, 0)}, "7"},
		"long afterwards":   {[]alert.Alarm{tierA(7, 0), tierB(7, 6*second)}, "7 7"},
		"before":            {[]alert.Alarm{tierA(7, 10), tierB(7, 0)}, "7 7"},
		"pid used again":    {[]alert.Alarm{tierA(7, 0), tierB(7, 10), tierA(7, 20), tierB(7, 30)}, "7+ 7+"},
		"forged in between": {[]alert.Alarm{tierA(7, 0), forged, tierB(7, 10)}, "forged 7+"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			rest := tt.log
			var got []string
			err := pair(func() (alert.Alarm, error) {
				if len(rest) == 0 {
					return alert.Alarm{}, io.EOF
				}
				a := rest[0]
				rest = rest[1:]
				return a, nil
			}, func(tr trip) error {
				s := fmt.Sprint(tr.Event.PID)
				if tr.Verdict == alert.Forged {
					s = "forged"
				}
				if tr.First != nil {
					s += "+"
				}
				got = append(got, s)
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, strings.Join(got, " ")); diff != "" {
				t.Error(diff)
			}
		})
	}
}
