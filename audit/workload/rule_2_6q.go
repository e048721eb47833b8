package workload

import (
	"github.com/hardstand/hardstand/audit"
	"strconv"
	"strings"
)

var rule26q = rule{Rule: audit.Rule{
	ID: "CHG-2.6q", Title: "Containers run as a numeric user that is not root", Severity: audit.High, Since: 1, Kinds: kindsAll,
	Aliases:  []string{"DL3002", "DS-0002", "KSV-0012", "KSV-0020", "KSV-0021", "CIS-DI-0001", "container-security-context-user-group-id"},
	Why:      "Root in a container is root for every bug of the kernel, the runtime and the mounts.",
	Fix:      "runAsUser: 65532, runAsGroup: 65532, runAsNonRoot: true; user: 65532:65532 in Compose and ECS.",
	Evidence: "the user and where it stands, pod settings included",
}, each: func(c *check, k *container) {
	expected := "a numeric user and group other than 0"
	name, group, hasGroup := strings.Cut(k.user.value, ":")
	id, err := strconv.ParseInt(name, 10, 64)
	switch {
	case k.user.open():
		c.unknown(k, k.user.at, "the value of the variables in "+shorten(k.user.value))
	case !k.user.set && k.nonRoot:
		c.warn(k, k.user.at, "runAsNonRoot without runAsUser: it starts only if the image's user is a number", expected)
	case !k.user.set && c.artifact.Kind == audit.Docker && k.doc.node != nil:
		c.fail(k, k.user.at, "no user: it runs as root", expected)
	case !k.user.set:
		c.fail(k, k.user.at, "no user: the image decides, and most run as root", expected)
	case name == "root" || err == nil && id == 0:
		c.fail(k, k.user.at, "user "+shorten(k.user.value), expected)
	case group == "root" || hasGroup && strings.Trim(group, "0") == "":
		c.warn(k, k.user.at, "group 0 in "+shorten(k.user.value), expected)
	case err != nil:
		c.warn(k, k.user.at, "user "+shorten(name)+" is a name, which the image may give to 0", expected)
	default:
		c.pass(k, k.user.at, "user "+k.user.value)
	}
}}
