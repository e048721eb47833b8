package plugins

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sigstore/sigstore/pkg/signature"
	"github.com/sigstore/sigstore/pkg/signature/kms/aws"
	"github.com/sigstore/sigstore/pkg/signature/kms/azure"
	"github.com/sigstore/sigstore/pkg/signature/kms/cliplugin"
	"github.com/sigstore/sigstore/pkg/signature/kms/gcp"
	"github.com/sigstore/sigstore/pkg/signature/kms/hashivault"

	"github.com/hardstand/hardstand/sign/plugins/plugin"
)

// TestMain makes the test binary each of the programs by its name. That saves
// four links; what it leaves untested is the one line of each main function.
func TestMain(m *testing.M) {
	for _, scheme := range []string{aws.ReferenceScheme, gcp.ReferenceScheme, azure.ReferenceScheme, hashivault.ReferenceScheme} {
		if filepath.Base(os.Args[0]) == cliplugin.PluginBinaryPrefix+strings.TrimSuffix(scheme, "://") {
			plugin.Main(scheme)
		}
	}
	os.Exit(m.Run())
}

// secret is in every credential of the tests.
const secret = "hunter2hunter2"

// TestServices signs with each service through sigstore's own client of the
// protocol, an implementation other than hardstand's.
func TestServices(t *testing.T) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	cloud := newCloud(t, key)
	for _, c := range []struct{ reference, absent, denied string }{
		{"awskms:///alias/release", "awskms:///alias/absent", "AWS_ACCESS_KEY_ID"},
		{"gcpkms://" + gcpKey + "/cryptoKeyVersions/1", "gcpkms://" + strings.Replace(gcpKey, "release", "absent", 1) + "/cryptoKeyVersions/1", ""},
		{"azurekms://team.vault.azure.net/release/v1", "azurekms://team.vault.azure.net/absent/v1", "AZURE_CLIENT_SECRET"},
		{"hashivault://release", "hashivault://absent", "VAULT_TOKEN"},
	} {
		name, _, _ := strings.Cut(c.reference, "://")
		t.Run(name, func(t *testing.T) {
			calls := install(t, name)
			cloud.setenv(t)
			sv := load(t, c.reference)
			public, err := sv.PublicKey()
			if err != nil {
				t.Fatal(err)
			}
			if !key.PublicKey.Equal(public) {
				t.Fatal("the program shows another public key than the service has")
			}
			checkSignature(t, sv, &key.PublicKey)
			if _, err := load(t, c.absent).PublicKey(); err == nil {
				t.Error("a key that the service does not have has a public key")
			}
			checkArguments(t, calls)
			if c.denied == "" {
				return // Google's server checks no signature of the token
			}
			t.Setenv(c.denied, "wrong")
			if _, err := load(t, c.reference).SignMessage(strings.NewReader("x")); err == nil {
				t.Error("the service signs for wrong credentials")
			}
		})
	}
}

func load(t *testing.T, reference string) signature.SignerVerifier {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	t.Cleanup(cancel)
	sv, err := cliplugin.LoadSignerVerifier(ctx, reference, crypto.SHA256)
	if err != nil {
		t.Fatal(err)
	}
	return sv
}

func checkSignature(t *testing.T, sv signature.SignerVerifier, key *ecdsa.PublicKey) {
	t.Helper()
	message := []byte("what is signed")
	sig, err := sv.SignMessage(bytes.NewReader(message))
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(message)
	if !ecdsa.VerifyASN1(key, sum[:], sig) {
		t.Error("the signature is not the service's")
	}
	other := sha256.Sum256([]byte("something else"))
	if ecdsa.VerifyASN1(key, other[:], sig) {
		t.Error("the signature fits any message")
	}
}

// install puts the program of a service on the PATH, behind a script that
// writes down its arguments, and returns the file it writes.
func install(t *testing.T, name string) (calls string) {
	t.Helper()
	dir, real := t.TempDir(), t.TempDir()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	program := cliplugin.PluginBinaryPrefix + name
	if err := os.Symlink(self, filepath.Join(real, program)); err != nil {
		t.Fatal(err)
	}
	calls = filepath.Join(dir, "calls")
	script := "#!/bin/sh\necho \"$@\" >>" + calls + "\nexec " + filepath.Join(real, program) + " \"$@\"\n"
	if err := os.WriteFile(filepath.Join(dir, program), []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", dir+string(os.PathListSeparator)+os.Getenv("PATH"))
	return calls
}

// checkArguments shows that the list of processes has no credential.
func checkArguments(t *testing.T, calls string) {
	t.Helper()
	data, err := os.ReadFile(calls)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Contains(data, []byte("signMessage")) || bytes.Contains(data, []byte(secret)) || bytes.Contains(data, []byte("PRIVATE KEY")) {
		t.Errorf("arguments:\n%s", data)
	}
}

// setenv points the programs at the servers on loopback: by a proxy, so that
// the names of the services stay what they are in life, and by a certificate.
func (c *cloud) setenv(t *testing.T) {
	t.Helper()
	for name, value := range map[string]string{
		"HTTPS_PROXY": c.proxy, "https_proxy": c.proxy, "NO_PROXY": "", "no_proxy": "", "SSL_CERT_FILE": c.certificate, "SSL_CERT_DIR": t.TempDir(),
		"HOME": t.TempDir(), "AWS_REGION": "eu-central-1", "AWS_ACCESS_KEY_ID": "AKIDTEST", "AWS_SECRET_ACCESS_KEY": secret,
		"AWS_EC2_METADATA_DISABLED": "true", "AWS_CA_BUNDLE": c.certificate, "AWS_MAX_ATTEMPTS": "1", "AWS_PROFILE": "", "AWS_SESSION_TOKEN": "",
		"GOOGLE_APPLICATION_CREDENTIALS": serviceAccount(t), "NO_GCE_CHECK": "true",
		"AZURE_TENANT_ID": "tenant", "AZURE_CLIENT_ID": "client", "AZURE_CLIENT_SECRET": secret,
		"AZURE_TOKEN_CREDENTIALS": "EnvironmentCredential",
		"VAULT_ADDR":              "https://vault.example", "VAULT_TOKEN": secret,
	} {
		t.Setenv(name, value)
	}
}

// serviceAccount returns a file with credentials of Google's form. The SDK
// makes its own tokens with the key in it.
func serviceAccount(t *testing.T) string {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	data, err := json.Marshal(map[string]string{
		"type": "service_account", "project_id": "p", "private_key_id": "1", "client_email": "release@p.iam.gserviceaccount.com",
		"private_key": string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})),
		"token_uri":   "https://oauth2.googleapis.com/token",
	})
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "account.json")
	if err := os.WriteFile(file, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}
