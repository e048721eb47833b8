//go:build e2ekeyless

package sign_test

import (
	"errors"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hardstand/hardstand/build/oci"
	"github.com/hardstand/hardstand/sign/registry"
	"github.com/hardstand/hardstand/sign/tuftest"
)

// TestKeylessCommandLine signs as a GitHub Actions job does, with nothing but
// flags and the runner's environment, and verifies without any service.
func TestKeylessCommandLine(t *testing.T) {
	s := newStack(t)
	s.trust()
	root := filepath.Join(s.dir, "trusted-root.json")
	config := s.write("signing-config.json", s.config(""))
	scan := s.write("scan.json", []byte(`{"scanner":{"uri":"https://example.org/scanner","result":[]},"metadata":{"scanFinishedOn":"2026-01-01T00:00:00Z"}}`))
	layout := filepath.Join(s.dir, "layout")
	s.must(oci.WriteLayout(layout, keylessIndex(t), "latest"))
	program := filepath.Join(s.dir, "hardstand")
	if out, err := exec.Command("go", "build", "-o", s.dir+"/", "../../cmd/hardstand", "../../cmd/hardstand-sign").CombinedOutput(); err != nil {
		t.Fatalf("build hardstand: %v\n%s", err, out)
	}
	server := httptest.NewServer(registry.NewHandler(registry.ServeOptions{}))
	t.Cleanup(server.Close)
	image := strings.TrimPrefix(server.URL, "http://") + "/app:1.0"

	runner := []string{"ACTIONS_ID_TOKEN_REQUEST_URL=" + s.issuer.URL + "/token", "ACTIONS_ID_TOKEN_REQUEST_TOKEN=runner"}
	run := func(want int, env []string, args ...string) {
		t.Helper()
		cmd := exec.Command(program, args...)
		cmd.Env = append([]string{"HOME=" + s.dir, "PATH=" + os.Getenv("PATH")}, env...)
		out, err := cmd.CombinedOutput()
		var exit *exec.ExitError
		if err != nil && !errors.As(err, &exit) {
			t.Fatal(err)
		}
		if got := cmd.ProcessState.ExitCode(); got != want {
			t.Errorf("hardstand %s: exit code %d, want %d\n%s", strings.Join(args, " "), got, want, out)
		}
		if strings.Contains(string(out), "eyJ") { // how every such token begins
			t.Errorf("hardstand %s shows a token:\n%s", args[0], out)
		}
	}
	who := []string{"--identity", "https://github.com/" + workflowRef, "--issuer", s.issuer.URL, "--trusted-root", root}
	other := []string{"--identity", "https://github.com/team/other", "--issuer", s.issuer.URL, "--trusted-root", root}
	publish := append([]string{"publish", "oci:" + layout, image, "--signing-config", config}, who...)
	run(1, nil, publish...)                                   // no job, no token
	run(1, nil, append([]string{"verify", image}, who...)...) // so there is no such tag
	run(0, runner, publish...)
	run(0, runner, publish...) // a second time writes nothing
	run(0, runner, append([]string{"attest", image, "--signing-config", config, "--attest", "vulns=" + scan}, who...)...)
	run(3, runner, append([]string{"attest", image, "--signing-config", config, "--attest", "vulns=" + scan}, other...)...)

	// The instance may describe itself in a TUF repository instead of files.
	trusted, err := os.ReadFile(root)
	s.must(err)
	repo := tuftest.New(t, map[string][]byte{"trusted_root.json": trusted, "signing_config.v0.2.json": s.config("")}, time.Now().Add(time.Hour))
	instance := []string{"--identity", "https://github.com/" + workflowRef, "--issuer", s.issuer.URL,
		"--tuf-mirror", repo.URL, "--tuf-root", s.write("root.json", repo.Root)}
	second := strings.TrimPrefix(server.URL, "http://") + "/second:1.0"
	run(0, runner, append([]string{"publish", "oci:" + layout, second, "--keyless"}, instance...)...)
	repo.Server.Close()
	run(0, nil, append([]string{"verify", second}, instance...)...)
	run(2, nil, "verify", second, "--identity", "me", "--issuer", "you", "--tuf-mirror", repo.URL)

	// From here on only the registry answers.
	s.issuer.Close()
	s.ctlog.Close()
	run(0, nil, append([]string{"verify", image, "--require", "vulns", "--github-repository", "team/app"}, who...)...)
	run(3, nil, append([]string{"verify", image}, other...)...)
	run(3, nil, append([]string{"verify", image, "--github-repository", "team/other"}, who...)...)
	run(2, nil, "verify", image, "--identity", "https://github.com/"+workflowRef)
}
