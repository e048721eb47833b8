package builder_test

import (
	"encoding/hex"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/rogpeppe/go-internal/testscript"
	bundlepb "github.com/sigstore/protobuf-specs/gen/pb-go/bundle/v1"
	commonpb "github.com/sigstore/protobuf-specs/gen/pb-go/common/v1"
	dssepb "github.com/sigstore/protobuf-specs/gen/pb-go/dsse"
	"github.com/sigstore/sigstore-go/pkg/root"
	"github.com/sigstore/sigstore-go/pkg/testing/ca"
	"google.golang.org/protobuf/encoding/protojson"

	"github.com/hardstand/hardstand/sign"
	"github.com/hardstand/hardstand/sign/layout"
)

// keyless signs the image of a layout in a sigstore instance of its own, as
// SUBJECT whom ISSUER vouches for, and writes what that instance is trusted by:
// keyless DIR ROOT SUBJECT ISSUER.
func keyless(ts *testscript.TestScript, _ bool, args []string) {
	instance, err := ca.NewVirtualSigstore()
	ts.Check(err)
	logs := instance.RekorLogs()
	for name, log := range logs { // whose ID is the name where a file has its bytes
		log.ID, err = hex.DecodeString(name)
		ts.Check(err)
	}
	// Its certificates are in no certificate log, so the root names none.
	trusted, err := root.NewTrustedRoot(root.TrustedRootMediaType01, instance.FulcioCertificateAuthorities(), nil, instance.TimestampingAuthorities(), logs)
	ts.Check(err)
	data, err := json.Marshal(trusted)
	ts.Check(err)
	ts.Check(os.WriteFile(ts.MkAbs(args[1]), data, 0o644))

	dir := ts.MkAbs(args[0])
	l, err := layout.Open(dir)
	ts.Check(err)
	defer l.Close() //nolint:errcheck // opened for reading
	digest, err := l.Digest("")
	ts.Check(err)
	index, _, err := l.Image(digest)
	ts.Check(err)
	m, err := index.IndexManifest()
	ts.Check(err)
	subjects := []v1.Hash{digest}
	for _, d := range m.Manifests {
		subjects = append(subjects, d.Digest)
	}
	var lines strings.Builder
	for _, s := range subjects {
		bundle, err := keylessBundle(instance, s, args[2], args[3])
		ts.Check(err)
		lines.Write(bundle)
		lines.WriteByte('\n')
	}
	ts.Check(os.WriteFile(filepath.Join(dir, layout.SignaturesFile), []byte(lines.String()), 0o644))
}

func keylessBundle(instance *ca.VirtualSigstore, subject v1.Hash, identity, issuer string) ([]byte, error) {
	data, err := json.Marshal(map[string]any{
		"_type": "https://in-toto.io/Statement/v1", "predicateType": sign.PredicateSignature, "predicate": map[string]any{},
		"subject": []any{map[string]any{"digest": map[string]string{subject.Algorithm: subject.Hex}}},
	})
	if err != nil {
		return nil, err
	}
	e, err := instance.AttestAtTimeHashedRekordV2(identity, issuer, data, time.Now())
	if err != nil {
		return nil, err
	}
	material, err := e.VerificationContent()
	if err != nil {
		return nil, err
	}
	content, err := e.SignatureContent()
	if err != nil {
		return nil, err
	}
	entries, err := e.TlogEntries()
	if err != nil {
		return nil, err
	}
	stamps, err := e.Timestamps()
	if err != nil {
		return nil, err
	}
	b := &bundlepb.Bundle{
		MediaType: string(sign.MediaTypeBundle),
		Content: &bundlepb.Bundle_DsseEnvelope{DsseEnvelope: &dssepb.Envelope{
			Payload: data, PayloadType: "application/vnd.in-toto+json", Signatures: []*dssepb.Signature{{Sig: content.Signature()}},
		}},
		VerificationMaterial: &bundlepb.VerificationMaterial{
			Content: &bundlepb.VerificationMaterial_Certificate{Certificate: &commonpb.X509Certificate{RawBytes: material.Certificate().Raw}},
			TimestampVerificationData: &bundlepb.TimestampVerificationData{
				Rfc3161Timestamps: []*commonpb.RFC3161SignedTimestamp{{SignedTimestamp: stamps[0]}},
			},
		},
	}
	for _, entry := range entries {
		b.VerificationMaterial.TlogEntries = append(b.VerificationMaterial.TlogEntries, entry.TransparencyLogEntry())
	}
	line, err := protojson.Marshal(b)
	return []byte(strings.ReplaceAll(string(line), "\n", " ")), err
}
