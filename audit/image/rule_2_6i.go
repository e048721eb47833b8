package image

import (
	"bytes"
	"strconv"
	"strings"

	"github.com/hardstand/hardstand/audit"
)

var rule26i = rule{audit.Rule{
	ID: "CHG-2.6i", Title: "The image runs as a numeric user that is not root", Severity: audit.High, Since: 1, Kinds: []audit.Kind{audit.Image},
	Aliases:  []string{"CIS-DI-0001", "DS-0002"},
	Why:      "Root in a container is root for every bug of the kernel, the runtime and the mounts; and Kubernetes cannot prove of a name that it is not root.",
	Fix:      "USER 65532:65532.",
	Evidence: "the user of the configuration and what /etc/passwd makes of it",
}, func(c *check) {
	c.method = "user of the configuration, resolved in the image's /etc/passwd and /etc/group"
	at, user := configAt("/config/User"), c.config.Config.User
	fail := func(v audit.Verdict, observed string) {
		c.add(audit.Finding{Verdict: v, Locator: at, Observed: shorten(observed), Expected: "a numeric user and group other than 0"})
	}
	name, group, hasGroup := strings.Cut(user, ":")
	uid, primary, known := c.account(name)
	switch {
	case user == "":
		fail(audit.Fail, "no user: the image runs as root")
		return
	case !known:
		fail(audit.Fail, "user "+name+" is not in /etc/passwd: the container does not start")
		return
	case uid == 0:
		fail(audit.Fail, "user "+user+" is 0")
		return
	}
	gid := primary
	if hasGroup {
		gid = c.group(group)
	}
	switch {
	case gid == 0:
		fail(audit.Warn, "user "+user+": the group is 0")
	case strconv.FormatInt(uid, 10) != name:
		fail(audit.Warn, "user "+name+" is a name for "+strconv.FormatInt(uid, 10))
	default:
		c.add(audit.Finding{Verdict: audit.Pass, Locator: at, Observed: "user " + user})
	}
}}

// account resolves a user as runc does. A number outside passwd has group 0.
func (s *subject) account(name string) (uid, gid int64, known bool) {
	id, err := strconv.ParseInt(name, 10, 64)
	numeric := err == nil && id >= 0
	if e := s.find("etc/passwd"); e != nil {
		for line := range bytes.Lines(e.data) {
			f := strings.Split(strings.TrimSpace(string(line)), ":")
			if len(f) < 4 || f[0] != name && (!numeric || f[2] != name) {
				continue
			}
			u, err1 := strconv.ParseInt(f[2], 10, 64)
			g, err2 := strconv.ParseInt(f[3], 10, 64)
			if err1 == nil && err2 == nil {
				return u, g, true
			}
		}
	}
	return id, 0, numeric || name == "root"
}

// group resolves a group; 0 for what is not known.
func (s *subject) group(name string) int64 {
	if id, err := strconv.ParseInt(name, 10, 64); err == nil {
		return id
	}
	if e := s.find("etc/group"); e != nil {
		for line := range bytes.Lines(e.data) {
			if f := strings.Split(strings.TrimSpace(string(line)), ":"); len(f) >= 3 && f[0] == name {
				id, _ := strconv.ParseInt(f[2], 10, 64) // 0 is what is warned about
				return id
			}
		}
	}
	return 0
}
