package workload

import (
	"github.com/hardstand/hardstand/audit"
	"path"
	"strings"
)

var rule31s = rule{Rule: audit.Rule{
	ID: "CHG-3.1s", Title: "No container has the host's files or a runtime's socket", Severity: audit.Critical, Since: 1, Kinds: kindsAll,
	Aliases:  []string{"KSV-0023", "KSV-0006"},
	Why:      "Who reaches the runtime's socket or the host's files is root on the host.",
	Fix:      "Remove the mount; a volume, a projected file or an API with its own rights does what it was for.",
	Evidence: "the mount",
}, each: func(c *check, k *container) {
	broken := false
	for _, m := range k.mounts {
		if m.kind != "bind" {
			continue
		}
		switch p := path.Clean(m.source); {
		case strings.HasSuffix(p, ".sock") && (strings.Contains(p, "docker") || strings.Contains(p, "containerd") || strings.Contains(p, "crio") || strings.Contains(p, "podman")):
			broken = true
			c.fail(k, m.at, "the socket of a runtime: "+shorten(p), "no such mount")
		case sensitive(p):
			broken = true
			c.fail(k, m.at, "the host's "+shorten(p), "no such mount")
		case !m.readOnly && c.artifact.Kind == audit.Kubernetes:
			broken = true
			c.fail(k, m.at, "the host's "+shorten(p)+", writable", "no hostPath")
		case c.artifact.Kind == audit.Kubernetes:
			broken = true
			c.warn(k, m.at, "the host's "+shorten(p), "no hostPath")
		}
	}
	if !broken {
		c.pass(k, k.at, "none among its mounts")
	}
}}

func sensitive(p string) bool {
	if p == "/" || p == "/var/run" || p == "/run" {
		return true
	}
	for _, dir := range []string{"/etc", "/proc", "/sys", "/boot", "/root", "/dev", "/var/lib/docker", "/var/lib/kubelet", "/lib/modules", "/usr"} {
		if p == dir || strings.HasPrefix(p, dir+"/") && p != "/etc/localtime" && p != "/etc/timezone" && !strings.HasPrefix(p, "/etc/ssl") {
			return true
		}
	}
	return false
}
