//go:build e2e

package canary

import (
	"strings"
	"testing"
	"time"

	"github.com/hardstand/hardstand/canary/alert"
	"github.com/hardstand/hardstand/canary/decoy"
)

// TestForeignPidOne executes decoys in a container that shares the pid
// namespace of another one of the same image: PID 1 has the same marker, but is
// not theirs. It must stay untouched whatever the policy, the user and whether
// PID 1 can be read.
func TestForeignPidOne(t *testing.T) {
	t.Parallel()
	for _, user := range []string{"65532:65532", "0"} {
		for _, mode := range []string{"readable", "unreadable"} {
			t.Run(strings.ReplaceAll(user, ":", "-")+"-"+mode, func(t *testing.T) {
				app := goApp()
				if mode == "unreadable" {
					app.Mode = 0o111
				}
				c := start(t, decoy.Options{BuildID: "foreign", OnTrip: alert.TripFall}, app, "--network=none", "--user="+user)
				time.Sleep(200 * time.Millisecond)
				tag, err := docker.Run(t.Context(), "inspect", "-f", "{{.Config.Image}}", c.id)
				if err != nil {
					t.Fatal(err)
				}
				for _, program := range []string{"/usr/bin/ls", decoy.FullDir + "/ls"} {
					out, err := docker.Try(t.Context(), nil, "run", "--rm", "--pid=container:"+c.id, "--network=none", "--user="+user,
						"--cap-drop=ALL", "--security-opt=no-new-privileges", "--entrypoint="+program, tag)
					if err != nil || out.Code != 2 || !strings.Contains(out.Stderr, "Permission denied") {
						t.Errorf("%s: %+v, %v", program, out, err)
					}
				}
				time.Sleep(300 * time.Millisecond)
				running, err := docker.Run(t.Context(), "inspect", "-f", "{{.State.Running}}", c.id)
				if err != nil || running != "true" {
					t.Fatalf("the other container fell: %s %v", running, err)
				}
				if c.latched() || len(c.alarms()) != 0 {
					t.Errorf("the other container was touched: latch %v, log %+v", c.latched(), c.alarms())
				}
			})
		}
	}
}
