package secretgcp_test

import (
	"context"
	"errors"
	"hash/crc32"
	"net"
	"strings"
	"testing"

	secretmanager "cloud.google.com/go/secretmanager/apiv1"
	"cloud.google.com/go/secretmanager/apiv1/secretmanagerpb"
	"google.golang.org/api/option"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"

	"github.com/hardstand/hardstand/app/secret"
	"github.com/hardstand/hardstand/app/secretgcp"
)

const hidden = "correct-horse-battery"

// service answers by gRPC, so that Google's client itself is under test.
type service struct {
	secretmanagerpb.UnimplementedSecretManagerServiceServer
}

func (service) AccessSecretVersion(_ context.Context, r *secretmanagerpb.AccessSecretVersionRequest) (*secretmanagerpb.AccessSecretVersionResponse, error) {
	sum := int64(crc32.Checksum([]byte(hidden), crc32.MakeTable(crc32.Castagnoli)))
	payload := &secretmanagerpb.SecretPayload{Data: []byte(hidden), DataCrc32C: &sum}
	switch r.GetName() {
	case "projects/p/secrets/db/versions/latest", "projects/p/locations/europe-west3/secrets/db/versions/3":
	case "projects/p/secrets/damaged/versions/1":
		sum++
	case "projects/p/secrets/unsigned/versions/1":
		payload.DataCrc32C = nil
	case "projects/p/secrets/denied/versions/1":
		return nil, status.Error(codes.PermissionDenied, "no")
	default:
		return nil, status.Error(codes.NotFound, "no such secret")
	}
	return &secretmanagerpb.AccessSecretVersionResponse{Name: r.GetName(), Payload: payload}, nil
}

func TestVersion(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	srv := grpc.NewServer()
	secretmanagerpb.RegisterSecretManagerServiceServer(srv, service{})
	go func() { _ = srv.Serve(l) }()
	defer srv.Stop()
	client, err := secretmanager.NewClient(t.Context(), option.WithEndpoint(l.Addr().String()), option.WithoutAuthentication(),
		option.WithGRPCDialOption(grpc.WithTransportCredentials(insecure.NewCredentials())))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = client.Close() }()
	for name, c := range map[string]struct {
		want, err string
		absent    bool
	}{
		"projects/p/secrets/db/versions/latest":                   {hidden, "", false},
		"projects/p/locations/europe-west3/secrets/db/versions/3": {hidden, "", false},
		"projects/p/secrets/damaged/versions/1":                   {"", "damaged", false},
		"projects/p/secrets/unsigned/versions/1":                  {"", "no checksum", false},
		"projects/p/secrets/denied/versions/1":                    {"", "PermissionDenied", false},
		"projects/p/secrets/none/versions/1":                      {"", "not found", true},
		"projects/p/secrets/db":                                   {"", "versions/VERSION", false},
	} {
		v, err := secret.Read(t.Context(), "x", secretgcp.Version(client, name))
		if v.Reveal() != c.want || (err == nil) != (c.err == "") || err != nil && !strings.Contains(err.Error(), c.err) {
			t.Errorf("%s: %q, %v; want %q, %q", name, v.Reveal(), err, c.want, c.err)
		}
		if errors.Is(err, secret.ErrNotFound) != c.absent {
			t.Errorf("%s: ErrNotFound: %v", name, err)
		}
	}
}
