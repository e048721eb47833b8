package lint

import (
	"fmt"
	"strings"
	"testing"

	"github.com/hardstand/hardstand/canary/decoy"
)

func register() decoy.Register {
	var r decoy.Register
	for _, d := range decoy.Default() {
		r.Decoys = append(r.Decoys, decoy.Registered{Name: d.Name, Path: "/usr/bin/" + d.Name})
	}
	return r
}

func TestCheck(t *testing.T) {
	for name, c := range map[string]struct{ file, content, want string }{
		"liveness probe": {"pod.yaml", "spec:\n  containers:\n  - livenessProbe:\n      exec:\n        command: [cat, /tmp/ready]\n",
			"5 cat spec.containers[0].livenessProbe.exec.command"},
		"shell in a hook": {"pod.yml", "lifecycle:\n  preStop:\n    exec:\n      command:\n      - /bin/sh\n      - -c\n      - sleep 5; wget -q http://x && true\n",
			"5 sh lifecycle.preStop.exec.command, 5 wget lifecycle.preStop.exec.command"},
		"own binary":         {"pod.yaml", "command: [/app, --cat, sh]\n", ""},
		"arguments":          {"pod.yaml", "args: [-c, 'ls /']\n", "1 ls args"},
		"plain arguments":    {"pod.yaml", "args: [cat]\n", ""},
		"second document":    {"all.yaml", "a: 1\n---\ncommand: [id]\n", "3 id command"},
		"other path":         {"pod.yaml", "command: [/opt/tools/cat]\n", ""},
		"compose CMD":        {"compose.yaml", "healthcheck:\n  test: [CMD, curl, -f, http://localhost]\n", "2 curl healthcheck.test"},
		"compose string":     {"compose.yaml", "healthcheck:\n  test: curl -f http://localhost\n", "2 sh healthcheck.test, 2 curl healthcheck.test"},
		"compose NONE":       {"compose.yaml", "healthcheck:\n  test: [NONE]\n", ""},
		"task definition":    {"task.json", `{"healthCheck": {"command": ["CMD-SHELL", "wget -q http://x || exit 1"]}}`, "1 sh healthCheck.command, 1 wget healthCheck.command"},
		"chart":              {"templates/d.yaml", "{{- if .x }}\ncommand: [\"sh\", \"-c\", \"id\"]\n{{ end }}\n", "2 sh command, 2 id command"},
		"chart block":        {"templates/d.yaml", "{{ if .x }}\n  command:\n  - \"tar\"\n  - x\n{{ end }}\n", "2 tar command"},
		"health check":       {"Dockerfile", "FROM x\nHEALTHCHECK --interval=1s CMD curl -f http://localhost || exit 1\n", "2 sh HEALTHCHECK, 2 curl HEALTHCHECK"},
		"health check list":  {"Dockerfile", "HEALTHCHECK CMD [\"/bin/probe\"]\n", ""},
		"run":                {"Dockerfile", "RUN a \\\n  && chmod +x b\nCOPY ls cat\n", "1 sh RUN, 1 chmod RUN"},
		"kubectl cp":         {"deploy.sh", "#!/bin/sh\n# kubectl cp no\nkubectl -n x cp pod:/a b\n", "3 tar kubectl cp"},
		"kubectl exec":       {"deploy.sh", "kubectl exec -it pod -- sh -c 'ls /'\n", "1 sh kubectl exec, 1 ls kubectl exec"},
		"docker exec":        {"ci.sh", "docker exec -u 0 -it web env\n", "1 env docker exec"},
		"kubectl exec, old":  {"deploy.sh", "kubectl exec -it -n x pod ls /\n", "1 ls kubectl exec"},
		"oc rsync":           {"deploy.sh", "oc rsync ./a pod:/b\n", "1 tar kubectl cp"},
		"compose exec":       {"ci.sh", "docker compose exec -T web sh -c 'id'\n", "1 sh docker exec, 1 id docker exec"},
		"health flag":        {"run.sh", "docker run --health-cmd 'curl -f http://localhost || exit 1' --entrypoint /bin/sh web\n", "1 sh --health-cmd, 1 curl --health-cmd, 1 sh --entrypoint"},
		"health list":        {"run.sh", "podman run --health-cmd '[\"/bin/probe\"]' web\n", ""},
		"quadlet":            {"web.container", "[Container]\nImage=web\nHealthCmd=wget -q http://localhost\n", "3 sh HealthCmd, 3 wget HealthCmd"},
		"config map":         {"cm.yaml", "data:\n  run.sh: |\n    #!/bin/bash\n    id\n", "2 bash data.run.sh"},
		"env interpreter":    {"cm.yaml", "data:\n  a: \"#!/usr/bin/env python3\\n\"\n", "2 python3 data.a, 2 env data.a"},
		"pipeline":           {".gitlab-ci.yml", "deploy:\n  script:\n  - kubectl exec pod -- ls\n  - |\n    echo\n    kubectl cp a pod:/b\n", "3 ls kubectl exec, 6 tar kubectl cp"},
		"flow in a chart":    {"templates/d.yaml", "{{ if .x }}\nlivenessProbe: {exec: {command: [\"cat\", \"/x\"]}}\n{{ end }}\n", "2 cat command"},
		"terraform":          {"main.tf", "resource \"x\" \"y\" {\n  healthCheck = { command = [\"CMD-SHELL\", \"curl -f http://x\"] }\n}\n", "2 sh command, 2 curl command"},
		"skaffold":           {"skaffold.yaml", "build:\n  artifacts:\n  - image: web\n    sync:\n      manual: []\n", "4 tar build.artifacts[0].sync"},
		"tilt":               {"Tiltfile", "docker_build('web', '.', live_update=[\n  sync('./src', '/app'),\n  run('chmod +x /app/a')])\n", "2 tar sync, 3 sh run, 3 chmod run"},
		"local tools":        {"ci.sh", "ls; cat x; curl y\n", ""},
		"substitution":       {"pod.yaml", "command: [/app, -c]\nentrypoint: A=b exec $(whoami)\n", "2 whoami entrypoint"},
		"nothing to execute": {"values.yaml", "image: cat\nname: sh\n", ""},
	} {
		findings, err := Check(c.file, []byte(c.content), register())
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		var got []string
		for _, f := range findings {
			got = append(got, fmt.Sprintf("%d %s %s", f.Line, f.Decoy, f.Where))
			if f.Why == "" || f.Text == "" || !strings.HasPrefix(f.String(), c.file+":") {
				t.Errorf("%s: %+v", name, f)
			}
		}
		if got := strings.Join(got, ", "); got != c.want {
			t.Errorf("%s:\n got %s\nwant %s", name, got, c.want)
		}
	}
}

func TestCheckRefuses(t *testing.T) {
	if _, err := Check("x.yaml", []byte("a: [\n"), register()); err == nil || !strings.Contains(err.Error(), "x.yaml") {
		t.Errorf("broken YAML: %v", err)
	}
	if _, err := Check("x.yaml", make([]byte, MaxFile+1), register()); err == nil {
		t.Error("an oversized file was accepted")
	}
}

func FuzzCheck(f *testing.F) {
	f.Add("pod.yaml", []byte("command: [sh, -c, 'ls']\n"))
	f.Add("Dockerfile", []byte("RUN a \\\n b\nHEALTHCHECK CMD [\"x\"]"))
	f.Add("t.yaml", []byte("{{x}}\ntest:\n - CMD-SHELL"))
	f.Add("a.sh", []byte("docker exec -u"))
	r := register()
	f.Fuzz(func(t *testing.T, name string, content []byte) {
		findings, err := Check(name, content, r)
		if err != nil {
			return
		}
		for _, f := range findings {
			if f.Line < 1 || f.Line > strings.Count(string(content), "\n")+1 {
				t.Errorf("line %d", f.Line)
			}
		}
	})
}
