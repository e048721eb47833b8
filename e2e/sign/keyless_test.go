//go:build e2ekeyless

package sign_test

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	ct "github.com/google/certificate-transparency-go"
	cttls "github.com/google/certificate-transparency-go/tls"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/random"

	"github.com/hardstand/hardstand/sign"
	"github.com/hardstand/hardstand/sign/registry"
)

const workflowRef = "team/app/.github/workflows/release.yaml@refs/heads/main"

// stack is a sigstore instance on this machine: the real Fulcio, Rekor v2 and
// timestamp server, with an OpenID Connect issuer that plays GitHub's and a
// certificate log that signs whatever Fulcio submits.
type stack struct {
	t                                       *testing.T
	dir, bin                                string
	issuer, ctlog                           *httptest.Server
	fulcio, rekor, tsa                      string
	rekorPublic, ctPublic, fulcioPEM, tsPEM string // files
}

func newStack(t *testing.T) *stack {
	t.Helper()
	s := &stack{t: t, dir: t.TempDir(), bin: keylessTools(t)}
	s.startIssuer()
	s.startCTLog()
	s.startFulcio()
	s.startRekor()
	s.startTSA()
	return s
}

func keylessTools(t *testing.T) string {
	t.Helper()
	cmd := exec.Command("../tools.sh", "cosign", "fulcio", "rekor", "timestamp-server")
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("tools.sh: %v", err)
	}
	return strings.TrimSpace(string(out))
}

func (s *stack) must(err error) {
	s.t.Helper()
	if err != nil {
		s.t.Fatal(err)
	}
}

func (s *stack) write(name string, data []byte) string {
	s.t.Helper()
	path := filepath.Join(s.dir, name)
	s.must(os.WriteFile(path, data, 0o600))
	return path
}

func (s *stack) port() string {
	s.t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	s.must(err)
	defer l.Close()
	_, port, err := net.SplitHostPort(l.Addr().String())
	s.must(err)
	return port
}

// run starts a service and waits until an address of it answers.
func (s *stack) run(alive, program string, args ...string) {
	s.t.Helper()
	log, err := os.Create(filepath.Join(s.dir, program+".log"))
	s.must(err)
	cmd := exec.Command(filepath.Join(s.bin, program), args...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = s.dir, log, log
	s.must(cmd.Start())
	s.t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		_ = log.Close()
	})
	for range 200 {
		if resp, err := http.Get(alive); err == nil {
			_ = resp.Body.Close()
			if resp.StatusCode < 500 {
				return
			}
		}
		time.Sleep(50 * time.Millisecond)
	}
	text, _ := os.ReadFile(log.Name())
	s.t.Fatalf("%s does not answer:\n%s", program, text)
}

// startIssuer serves discovery, keys, and the runner's token endpoint.
func (s *stack) startIssuer() {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	s.must(err)
	mux := http.NewServeMux()
	s.issuer = httptest.NewServer(mux)
	s.t.Cleanup(s.issuer.Close)
	answer := func(path string, v func() any) {
		mux.HandleFunc("GET "+path, func(w http.ResponseWriter, _ *http.Request) { _ = json.NewEncoder(w).Encode(v()) })
	}
	b64 := base64.RawURLEncoding.EncodeToString
	answer("/.well-known/openid-configuration", func() any {
		return map[string]any{"issuer": s.issuer.URL, "jwks_uri": s.issuer.URL + "/jwks", "response_types_supported": []string{"id_token"},
			"subject_types_supported": []string{"public"}, "id_token_signing_alg_values_supported": []string{"RS256"}}
	})
	answer("/jwks", func() any {
		return map[string]any{"keys": []any{map[string]any{"kty": "RSA", "alg": "RS256", "use": "sig", "kid": "1",
			"n": b64(key.N.Bytes()), "e": b64(big.NewInt(int64(key.E)).Bytes())}}}
	})
	answer("/token", func() any { return map[string]string{"value": token(s.t, key, s.issuer.URL)} })
}

// token is what GitHub says of a job: RFC 7519, signed with RS256.
func token(t *testing.T, key *rsa.PrivateKey, issuer string) string {
	claims, err := json.Marshal(map[string]any{
		"iss": issuer, "aud": "sigstore", "sub": "repo:team/app:ref:refs/heads/main",
		"iat": time.Now().Unix(), "nbf": time.Now().Unix() - 5, "exp": time.Now().Add(5 * time.Minute).Unix(),
		"event_name": "push", "sha": strings.Repeat("a", 40), "workflow": "release", "repository": "team/app",
		"ref": "refs/heads/main", "job_workflow_ref": workflowRef, "job_workflow_sha": strings.Repeat("a", 40),
		"runner_environment": "github-hosted", "repository_id": "1", "repository_owner": "team", "repository_owner_id": "2",
		"workflow_ref": workflowRef, "workflow_sha": strings.Repeat("a", 40), "run_id": "3", "run_attempt": "1",
		"repository_visibility": "public",
	})
	if err != nil {
		t.Error(err)
	}
	b64 := base64.RawURLEncoding.EncodeToString
	body := b64([]byte(`{"alg":"RS256","kid":"1","typ":"JWT"}`)) + "." + b64(claims)
	sum := sha256.Sum256([]byte(body))
	sig, err := rsa.SignPKCS1v15(rand.Reader, key, crypto.SHA256, sum[:])
	if err != nil {
		t.Error(err)
	}
	return body + "." + b64(sig)
}

// startCTLog answers add-pre-chain, RFC 6962 section 4.2, with a timestamp that
// is really signed, and logs nothing.
func (s *stack) startCTLog() {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	s.must(err)
	der, err := x509.MarshalPKIXPublicKey(key.Public())
	s.must(err)
	s.ctPublic = s.write("ct.pub", pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
	id := sha256.Sum256(der)
	s.ctlog = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		answer, err := timestampFor(req.Body, key, id)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		_ = json.NewEncoder(w).Encode(answer)
	}))
	s.t.Cleanup(s.ctlog.Close)
}

func timestampFor(body io.Reader, key *ecdsa.PrivateKey, id [32]byte) (ct.AddChainResponse, error) {
	var in ct.AddChainRequest
	var out ct.AddChainResponse
	if err := json.NewDecoder(body).Decode(&in); err != nil {
		return out, err
	}
	var chain []ct.ASN1Cert
	for _, c := range in.Chain {
		chain = append(chain, ct.ASN1Cert{Data: c})
	}
	now := uint64(time.Now().UnixMilli())
	leaf, err := ct.MerkleTreeLeafFromRawChain(chain, ct.PrecertLogEntryType, now)
	if err != nil {
		return out, err
	}
	sct := ct.SignedCertificateTimestamp{SCTVersion: ct.V1, LogID: ct.LogID{KeyID: id}, Timestamp: now}
	input, err := ct.SerializeSCTSignatureInput(sct, ct.LogEntry{Leaf: *leaf})
	if err != nil {
		return out, err
	}
	sig, err := cttls.CreateSignature(*key, cttls.SHA256, input)
	if err != nil {
		return out, err
	}
	raw, err := cttls.Marshal(sig)
	return ct.AddChainResponse{SCTVersion: ct.V1, ID: id[:], Timestamp: now, Signature: raw}, err
}

func (s *stack) startFulcio() {
	config := s.write("fulcio.yaml", fmt.Appendf(nil, `oidc-issuers:
  %[1]s:
    issuer-url: %[1]s
    client-id: sigstore
    type: ci-provider
    ci-provider: github-workflow
ci-issuer-metadata:
  github-workflow:
    default-template-values: {url: "https://github.com", environment: ""}
    extension-templates:
      github-workflow-trigger: event_name
      github-workflow-sha: sha
      github-workflow-name: workflow
      github-workflow-repository: repository
      github-workflow-ref: ref
      source-repository-uri: "{{ .url }}/{{ .repository }}"
      build-signer-uri: "{{ .url }}/{{ .job_workflow_ref }}"
    subject-alternative-name-template: "{{ .url }}/{{ .job_workflow_ref }}"
`, s.issuer.URL))
	port := s.port()
	s.fulcio = "http://127.0.0.1:" + port
	s.run(s.fulcio+"/api/v1/rootCert", "fulcio", "serve", "--ca=ephemeralca", "--host=127.0.0.1", "--port="+port,
		"--grpc-host=127.0.0.1", "--grpc-port="+s.port(), "--metrics-port="+s.port(), "--config-path="+config,
		"--ct-log-url="+s.ctlog.URL, "--ct-log-public-key-path="+s.ctPublic,
		"--legacy-unix-domain-socket="+filepath.Join(s.dir, "fulcio.sock"))
	s.fulcioPEM = s.write("fulcio.pem", s.get(s.fulcio+"/api/v1/rootCert"))
}

func (s *stack) get(address string) []byte {
	s.t.Helper()
	resp, err := http.Get(address)
	s.must(err)
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	s.must(err)
	return data
}

func (s *stack) startRekor() {
	public, private, err := ed25519.GenerateKey(rand.Reader)
	s.must(err)
	der, err := x509.MarshalPKCS8PrivateKey(private)
	s.must(err)
	key := s.write("rekor.key", pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
	pub, err := x509.MarshalPKIXPublicKey(public)
	s.must(err)
	s.rekorPublic = s.write("rekor.pub", pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: pub}))
	port := s.port()
	// The checkpoint's origin has to be the host of the trusted root's address.
	s.rekor = "http://localhost:" + port
	s.run(s.rekor+"/healthz", "rekor", "serve", "--hostname=localhost", "--http-address=127.0.0.1", "--http-port="+port,
		"--grpc-port="+s.port(), "--http-metrics-port="+s.port(), "--signer-filepath="+key,
		"--storage-dir="+filepath.Join(s.dir, "log"), "--checkpoint-interval=200ms", "--batch-max-age=50ms")
}

func (s *stack) startTSA() {
	port := s.port()
	base := "http://127.0.0.1:" + port
	s.tsa = base + "/api/v1/timestamp"
	s.run(base+"/ping", "timestamp-server", "serve", "--host=127.0.0.1", "--port="+port,
		"--timestamp-signer=memory", "--disable-ntp-monitoring", "--scheme=http")
	s.tsPEM = s.write("tsa.pem", s.get(base+"/api/v1/timestamp/certchain"))
}

// trust writes the trusted root.
func (s *stack) trust() *sign.TrustedRoot {
	s.t.Helper()
	out := filepath.Join(s.dir, "trusted-root.json")
	flags := map[string]string{
		"fulcio": "url=" + s.fulcio + ",certificate-chain=" + s.fulcioPEM,
		"rekor":  "url=" + s.rekor + ",origin=localhost,start-time=2024-01-01T00:00:00Z,public-key=" + s.rekorPublic,
		"ctfe":   "url=" + s.ctlog.URL + ",start-time=2024-01-01T00:00:00Z,public-key=" + s.ctPublic,
		"tsa":    "url=" + s.tsa + ",certificate-chain=" + s.tsPEM,
	}
	args := []string{"trusted-root", "create", "--out=" + out}
	for name, value := range flags {
		args = append(args, "--"+name+"="+value)
	}
	cmd := exec.Command(filepath.Join(s.bin, "cosign"), args...)
	cmd.Env = append(os.Environ(), "HOME="+s.dir)
	if text, err := cmd.CombinedOutput(); err != nil {
		s.t.Fatalf("cosign trusted-root create: %v\n%s", err, text)
	}
	data, err := os.ReadFile(out)
	s.must(err)
	root, err := sign.LoadTrustedRoot(data)
	s.must(err)
	return root
}

// config is the signing config, optionally without a service.
func (s *stack) config(without string) []byte {
	service := func(url string, version int) []map[string]any {
		return []map[string]any{{"url": url, "majorApiVersion": version, "operator": "e2e", "validFor": map[string]string{"start": "2024-01-01T00:00:00Z"}}}
	}
	c := map[string]any{
		"mediaType": "application/vnd.dev.sigstore.signingconfig.v0.2+json",
		"caUrls":    service(s.fulcio, 1), "rekorTlogUrls": service(s.rekor, 2), "tsaUrls": service(s.tsa, 1),
		"rekorTlogConfig": map[string]string{"selector": "ANY"}, "tsaConfig": map[string]string{"selector": "ANY"},
	}
	delete(c, without)
	data, err := json.Marshal(c)
	s.must(err)
	return data
}

func (s *stack) signer(without string) *sign.Signer {
	s.t.Helper()
	k, err := sign.NewKeyless(sign.KeylessOptions{
		Token:         sign.GitHubToken(s.issuer.URL+"/token", "runner", nil),
		SigningConfig: s.config(without),
	})
	s.must(err)
	return k
}

func keylessIndex(t *testing.T) v1.ImageIndex {
	t.Helper()
	img, err := random.Image(1000, 1)
	if err != nil {
		t.Fatal(err)
	}
	return mutate.AppendManifests(empty.Index, mutate.IndexAddendum{Add: img,
		Descriptor: v1.Descriptor{Platform: &v1.Platform{OS: "linux", Architecture: "amd64"}}})
}

func TestKeylessEndToEnd(t *testing.T) {
	s := newStack(t)
	server := httptest.NewServer(registry.NewHandler(registry.ServeOptions{}))
	t.Cleanup(server.Close)
	tag := func(repository string) name.Tag {
		parsed, err := registry.ParseTag(strings.TrimPrefix(server.URL, "http://") + "/" + repository + ":1.0")
		s.must(err)
		return parsed
	}
	right := sign.Identity{Subject: "https://github.com/" + workflowRef, Issuer: s.issuer.URL, Repository: "team/app", Trigger: "push"}
	trust := s.trust()
	o := registry.PublishOptions{Index: keylessIndex(t), Tag: tag("app"), Signer: s.signer(""),
		Verify:       sign.VerifyOptions{Identities: []sign.Identity{right}, TrustedRoot: trust},
		Attestations: []registry.Attestation{{PredicateType: sign.PredicateSPDX, Predicate: []byte(`{}`)}}}
	start := time.Now()
	res, err := registry.Publish(context.Background(), o)
	s.must(err)
	t.Logf("published in %s: %v", time.Since(start).Round(time.Millisecond), res.Took)
	if again, err := registry.Publish(context.Background(), o); err != nil || !again.Existed {
		t.Errorf("publishing again: %v, existed %v", err, again.Existed)
	}

	check := func(name string, ref name.Reference, id sign.Identity, root *sign.TrustedRoot, ok bool) {
		t.Helper()
		report, err := registry.Verify(context.Background(), ref, registry.Remote{},
			sign.VerifyOptions{Identities: []sign.Identity{id}, TrustedRoot: root, Platforms: true})
		var refused *sign.RefusedError
		if ok && err != nil || !ok && !errors.As(err, &refused) {
			t.Errorf("%s: %v, want accepted %v\n%+v", name, err, ok, report.Rejected)
		}
	}
	with := func(change func(*sign.Identity)) sign.Identity {
		id := right
		change(&id)
		return id
	}
	check("right", o.Tag, right, trust, true)
	check("wrong-subject", o.Tag, with(func(i *sign.Identity) { i.Subject += "2" }), trust, false)
	check("wrong-issuer", o.Tag, with(func(i *sign.Identity) { i.Issuer = "https://token.actions.githubusercontent.com" }), trust, false)
	check("wrong-repository", o.Tag, with(func(i *sign.Identity) { i.Repository = "team/other" }), trust, false)
	check("wrong-trigger", o.Tag, with(func(i *sign.Identity) { i.Trigger = "pull_request" }), trust, false)

	// Without a timestamp or without a log entry the publisher's own check
	// refuses, and the tag does not come to be.
	for without, witness := range map[string]string{"tsaUrls": "timestamp", "rekorTlogUrls": "log entry"} {
		bad := o
		bad.Tag, bad.Signer = tag("without-"+strings.ToLower(without)), s.signer(without)
		_, err := registry.Publish(context.Background(), bad)
		var refused *sign.RefusedError
		if !errors.As(err, &refused) {
			t.Errorf("without a %s: %v, want a refusal", witness, err)
		}
	}

	// cosign agrees.
	cosign := func(args ...string) error {
		cmd := exec.Command(filepath.Join(s.bin, "cosign"), append([]string{"verify", "--new-bundle-format", "--use-signed-timestamps",
			"--trusted-root=" + filepath.Join(s.dir, "trusted-root.json")}, args...)...)
		cmd.Env = append(os.Environ(), "HOME="+s.dir)
		out, err := cmd.CombinedOutput()
		t.Logf("%s", bytes.TrimSpace(out))
		return err
	}
	if err := cosign("--certificate-identity="+right.Subject, "--certificate-oidc-issuer="+right.Issuer, o.Tag.Name()); err != nil {
		t.Errorf("cosign refuses: %v", err)
	}
	if err := cosign("--certificate-identity="+right.Subject+"2", "--certificate-oidc-issuer="+right.Issuer, o.Tag.Name()); err == nil {
		t.Error("cosign accepts a wrong identity")
	}
}
