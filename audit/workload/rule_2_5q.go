package workload

import (
	"github.com/hardstand/hardstand/audit"
	"path"
	"strings"
)

var rule25q = rule{Rule: audit.Rule{
	ID: "CHG-2.5q", Title: "Health is checked without shell and download tools", Severity: audit.Medium, Since: 1, Kinds: []audit.Kind{audit.Compose, audit.Kubernetes, audit.ECS},
	Aliases:  []string{"DS-0026", "pod-probes"},
	Why:      "A check by curl keeps curl in the image, for intruders too; ECS and Kubernetes ignore the image's own HEALTHCHECK.",
	Fix:      `exec form of the probe in the image: ["CMD", "/bin/probe", "http://127.0.0.1:8080/healthz"]; on Kubernetes also httpGet or grpc.`,
	Evidence: "the check and its arguments",
}, each: func(c *check, k *container) {
	c.method = "health check of the workload file; the image's own is not seen by ECS and Kubernetes"
	expected := "a network check of the platform, or the exec form of a probe"
	if len(k.probes) == 0 {
		if c.artifact.Kind == audit.Compose {
			c.unknown(k, k.at, "the image: its own HEALTHCHECK counts where Compose has none")
			return
		}
		c.fail(k, k.at, "no health check", expected)
		return
	}
	broken := false
	for _, p := range k.probes {
		if fault := p.fault(); fault != "" {
			broken = true
			c.fail(k, p.at, p.name+": "+fault, expected)
		}
	}
	if !broken {
		c.pass(k, k.probes[0].at, k.probes[0].name+" by "+k.probes[0].form)
	}
}}

var shells = map[string]bool{"sh": true, "bash": true, "ash": true, "dash": true, "busybox": true, "zsh": true}

var fetchers = map[string]bool{"curl": true, "wget": true, "nc": true, "ncat": true, "netcat": true, "socat": true, "python": true, "python3": true, "perl": true, "node": true, "php": true, "ruby": true}

func (p probe) fault() string {
	switch {
	case p.form == "none":
		return "it is switched off"
	case p.form == "shell":
		return "it needs a shell"
	case p.form == "network":
		return ""
	case len(p.argv) == 0:
		return "it runs nothing"
	}
	name := path.Base(strings.TrimSpace(p.argv[0]))
	switch {
	case shells[name]:
		return "it needs a shell: " + shorten(name)
	case fetchers[name]:
		return "it needs " + shorten(name)
	}
	return ""
}
