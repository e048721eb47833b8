// Package secretgcp reads secrets of Google Cloud Secret Manager, as sources of
// app/secret.
//
// It is a module of its own, so that app/secret does not require the SDK.
package secretgcp

import (
	"context"
	"errors"
	"fmt"
	"hash/crc32"
	"regexp"

	"cloud.google.com/go/secretmanager/apiv1/secretmanagerpb"
	"github.com/googleapis/gax-go/v2"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/hardstand/hardstand/app/secret"
)

// Client is the part of *secretmanager.Client that is used.
type Client interface {
	AccessSecretVersion(ctx context.Context, req *secretmanagerpb.AccessSecretVersionRequest, opts ...gax.CallOption) (*secretmanagerpb.AccessSecretVersionResponse, error)
}

// versionName is projects/P/secrets/S/versions/V, with a location in between for
// regional secrets.
var versionName = regexp.MustCompile(`^projects/[^/]+/(locations/[^/]+/)?secrets/[^/]+/versions/[^/]+$`)

// Version reads a version of a secret by its resource name, such as
// "projects/p/secrets/db/versions/latest".
func Version(client Client, name string) secret.Source {
	get := func(ctx context.Context) ([]byte, error) {
		if !versionName.MatchString(name) {
			return nil, errors.New("name: use projects/PROJECT/secrets/SECRET/versions/VERSION")
		}
		res, err := client.AccessSecretVersion(ctx, &secretmanagerpb.AccessSecretVersionRequest{Name: name})
		if status.Code(err) == codes.NotFound {
			return nil, secret.ErrNotFound
		}
		if err != nil {
			return nil, err
		}
		return verified(res.GetPayload())
	}
	return secret.Func("Google Cloud secret "+name, get)
}

// verified returns the data if it has the checksum that came with it. The
// service asks its clients to look.
func verified(p *secretmanagerpb.SecretPayload) ([]byte, error) {
	data := p.GetData()
	if p == nil || p.DataCrc32C == nil {
		return nil, errors.New("the answer has no checksum")
	}
	if got := int64(crc32.Checksum(data, crc32.MakeTable(crc32.Castagnoli))); got != p.GetDataCrc32C() {
		return nil, fmt.Errorf("the answer is damaged: its checksum is %08x, not %08x", got, p.GetDataCrc32C())
	}
	return append([]byte(nil), data...), nil
}
