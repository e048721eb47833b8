package sign

import (
	"bytes"
	"context"
	"crypto"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/sigstore/sigstore/pkg/cryptoutils"
	"github.com/sigstore/sigstore/pkg/signature"
	"github.com/sigstore/sigstore/pkg/signature/kms/cliplugin"
	"github.com/sigstore/sigstore/pkg/signature/kms/cliplugin/common"
	"github.com/sigstore/sigstore/pkg/signature/kms/cliplugin/encoding"
	"github.com/sigstore/sigstore/pkg/signature/options"
)

const (
	// maxKMSAnswer bounds what a plugin answers, in bytes. A signature by RSA
	// 4096 takes less than one thousand.
	maxKMSAnswer = 1 << 20
	// kmsTimeout is how long one call of a plugin takes at most. The libraries
	// of the services try again on their own for some seconds.
	kmsTimeout = time.Minute
)

// kmsReference is NAME://KEY, as sigstore's plugins are addressed.
var kmsReference = regexp.MustCompile(`^[a-z0-9]{1,32}://[^\s]{1,512}$`)

// IsKMSReference reports whether a key is named by address rather than by file.
func IsKMSReference(key string) bool {
	return kmsReference.MatchString(key)
}

// KMS is access to key management services. A key NAME://KEY is used through
// the program sigstore-kms-NAME, which speaks sigstore's plugin protocol v1
// (github.com/sigstore/sigstore/pkg/signature/kms/cliplugin). None is linked in,
// so none costs anything where it is not used.
//
// The protocol's own client looks for programs in PATH. This one does not: the
// program says what the public key is and what is signed, so it has to be as
// trustworthy as the executable that calls it.
type KMS struct {
	Dir     string        // absolute path of the directory that holds the programs
	Stderr  io.Writer     // what the programs have to say; nil drops it
	Timeout time.Duration // of one call; 0 means one minute
}

// Load returns a signer whose key never leaves its service. It asks for the
// public key once.
func (k KMS) Load(ctx context.Context, reference string) (*Signer, error) {
	if !IsKMSReference(reference) {
		return nil, fmt.Errorf("load key %q: not of the form NAME://KEY", reference)
	}
	scheme, key, _ := strings.Cut(reference, "://")
	program, err := k.find(cliplugin.PluginBinaryPrefix + scheme)
	if err != nil {
		return nil, fmt.Errorf("load key %s: %w", reference, err)
	}
	service := &kmsKey{kms: k, program: program, options: common.InitOptions{
		ProtocolVersion: common.ProtocolVersion, KeyResourceID: key, HashFunc: crypto.SHA256,
		RPCOptions: encoding.PackRPCOptions(nil),
	}}
	if err := service.open(ctx); err != nil {
		return nil, fmt.Errorf("load key %s: %w", reference, err)
	}
	s, err := newSigner(service)
	if err != nil {
		return nil, fmt.Errorf("load key %s: %w", reference, err)
	}
	return s, nil
}

// find returns the path of a plugin.
func (k KMS) find(name string) (string, error) {
	if !filepath.IsAbs(k.Dir) {
		return "", fmt.Errorf("find %s: %q is no absolute path of a directory", name, k.Dir)
	}
	if runtime.GOOS == "windows" {
		name += ".exe"
	}
	path := filepath.Join(k.Dir, name)
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("no plugin found: there is no %s: make kms builds those for awskms, gcpkms, azurekms and hashivault, and PATH is not searched: %w", path, fs.ErrNotExist)
	}
	if err != nil {
		return "", fmt.Errorf("find plugin: %w", err)
	}
	if !info.Mode().IsRegular() || runtime.GOOS != "windows" && info.Mode()&0o111 == 0 {
		return "", fmt.Errorf("find plugin: %s is no program", path)
	}
	return path, nil
}

// kmsKey is one key behind a plugin.
type kmsKey struct {
	kms      KMS
	program  string
	options  common.InitOptions
	public   crypto.PublicKey
	verifier signature.Verifier
}

// open reads the public key and chooses the hash that goes with it.
func (k *kmsKey) open(ctx context.Context) error {
	resp, err := k.call(ctx, nil, &common.MethodArgs{
		MethodName: common.PublicKeyMethodName,
		PublicKey:  &common.PublicKeyArgs{PublicKeyOptions: encoding.PackPublicKeyOptions(nil)},
	})
	if err != nil {
		return fmt.Errorf("read public key: %w", err)
	}
	if resp.PublicKey == nil {
		return fmt.Errorf("read public key: %s answered without one", k.program)
	}
	if k.public, err = cryptoutils.UnmarshalPEMToPublicKey(resp.PublicKey.PublicKeyPEM); err != nil {
		return fmt.Errorf("read public key: %w", err)
	}
	algo, err := signature.GetDefaultAlgorithmDetails(k.public)
	if err != nil {
		return fmt.Errorf("read public key: %w", err)
	}
	k.options.HashFunc = algo.GetHashType()
	k.verifier, err = signature.LoadVerifier(k.public, k.options.HashFunc)
	return err
}

// PublicKey returns the key read when the signer was loaded: a service that
// rotates it meanwhile does not change what hardstand says it signs with.
func (k *kmsKey) PublicKey(...signature.PublicKeyOption) (crypto.PublicKey, error) {
	return k.public, nil
}

// SignMessage has the service sign, and checks that it did.
func (k *kmsKey) SignMessage(message io.Reader, opts ...signature.SignOption) ([]byte, error) {
	ctx := context.Background()
	var digest []byte
	for _, opt := range opts {
		opt.ApplyContext(&ctx)
		opt.ApplyDigest(&digest)
	}
	data, err := io.ReadAll(message)
	if err != nil {
		return nil, fmt.Errorf("read message: %w", err)
	}
	packed := encoding.PackSignOptions(opts)
	packed.RPCOptions.CtxDeadline = nil // the process is ended at the deadline
	resp, err := k.call(ctx, data, &common.MethodArgs{
		MethodName: common.SignMessageMethodName, SignMessage: &common.SignMessageArgs{SignOptions: packed},
	})
	if err != nil {
		return nil, err
	}
	if resp.SignMessage == nil {
		return nil, fmt.Errorf("%s answered without a signature", k.program)
	}
	var check []signature.VerifyOption
	if len(digest) > 0 {
		check = append(check, options.WithDigest(digest))
	}
	if err := k.VerifySignature(bytes.NewReader(resp.SignMessage.Signature), bytes.NewReader(data), check...); err != nil {
		return nil, fmt.Errorf("the service's signature does not verify with the public key it gave: was the key rotated meanwhile, or is its algorithm not the usual one of its type? %w", err)
	}
	return resp.SignMessage.Signature, nil
}

// VerifySignature checks without asking the service.
func (k *kmsKey) VerifySignature(sig, message io.Reader, opts ...signature.VerifyOption) error {
	return k.verifier.VerifySignature(sig, message, opts...)
}

// call runs the plugin once. Arguments are visible to every process of the
// machine: they carry the name of the key and the method, and no secret.
func (k *kmsKey) call(ctx context.Context, message []byte, method *common.MethodArgs) (*common.PluginResp, error) {
	timeout := k.kms.Timeout
	if timeout <= 0 {
		timeout = kmsTimeout
	}
	ctx, cancel := context.WithTimeoutCause(ctx, timeout, fmt.Errorf("no answer within %v", timeout))
	defer cancel()
	args, err := json.Marshal(common.PluginArgs{InitOptions: &k.options, MethodArgs: method})
	if err != nil {
		return nil, fmt.Errorf("encode call: %w", err)
	}
	var out answer
	cmd := exec.CommandContext(ctx, k.program, common.ProtocolVersion, string(args))
	cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(message), &out, k.kms.Stderr
	cmd.Env = slices.DeleteFunc(cmd.Environ(), func(v string) bool {
		return strings.HasPrefix(v, "HARDSTAND_PASSWORD=") || strings.HasPrefix(v, "COSIGN_PASSWORD=") // of keys in files: not its business
	})
	cmd.WaitDelay = time.Second // whoever inherited its output is not waited for
	err = cmd.Run()
	if ctx.Err() != nil {
		return nil, fmt.Errorf("run %s: %w", k.program, context.Cause(ctx))
	}
	if out.over {
		return nil, fmt.Errorf("run %s: %w", k.program, errLongAnswer)
	}
	if exit := (*exec.ExitError)(nil); err != nil && (!errors.As(err, &exit) || len(out.data) == 0) {
		return nil, fmt.Errorf("run %s: %w", k.program, err)
	}
	resp, answered := parseAnswer(out.data)
	if answered != nil {
		return nil, fmt.Errorf("%s: %w", k.program, errors.Join(answered, err))
	}
	if err != nil {
		return nil, fmt.Errorf("run %s: %w", k.program, err)
	}
	return resp, nil
}

// parseAnswer reads what a plugin wrote to stdout: an answer, or the error in it.
func parseAnswer(data []byte) (*common.PluginResp, error) {
	var resp common.PluginResp
	if err := json.Unmarshal(data, &resp); err != nil {
		return nil, fmt.Errorf("read the answer of the plugin: %w", err)
	}
	if resp.ErrorMessage != "" {
		return nil, errors.New(resp.ErrorMessage)
	}
	return &resp, nil
}

// answer keeps what a plugin writes, up to maxKMSAnswer. It is no bytes.Buffer,
// whose ReadFrom io.Copy would prefer to Write.
type answer struct {
	data []byte
	over bool
}

var errLongAnswer = fmt.Errorf("the plugin answers with over %d bytes", maxKMSAnswer)

func (a *answer) Write(p []byte) (int, error) {
	if a.over = a.over || len(a.data)+len(p) > maxKMSAnswer; a.over {
		return 0, errLongAnswer
	}
	a.data = append(a.data, p...)
	return len(p), nil
}
