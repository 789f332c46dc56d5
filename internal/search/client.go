// Package search is the pipeline's client of Elasticsearch: the raw index, its
// quarantine and its release registry. It takes and gives plain values.
//
// Every answer is checked before it is believed: that it is Elasticsearch's, that
// it is whole, that no shard failed, and, of a bulk request, that every single
// item is accounted for. What fails is an *Error, whose Kind says whether a repeat
// can help.
package search

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"regexp"
	"strings"
	"time"

	"github.com/elastic/go-elasticsearch/v8"
)

// maxAnswer is the longest answer, in bytes, that is read into memory.
const maxAnswer = 64 << 20

// errTooLong means that an answer is longer than maxAnswer.
var errTooLong = errors.New("the answer is over 64 MiB")

// errProduct means that an answer did not say that it is Elasticsearch's.
var errProduct = errors.New("the answer is not from Elasticsearch: its X-Elastic-Product header is missing")

// Config says how to reach Elasticsearch. An API key is used before a user.
type Config struct {
	URL      string // http or https
	Username string
	Password string
	APIKey   string // base64, as Elasticsearch hands it out
	CAFile   string // file of PEM certificates to trust in place of the system's
	CertFile string // file of the PEM certificate that the client shows, with those that vouch for it
	KeyFile  string // file of its PEM private key
}

// Client talks to one Elasticsearch. It is safe for concurrent use.
type Client struct {
	es      *elasticsearch.BaseClient
	address string // for messages; without credentials
}

// New makes a client. It does not connect: an address that nobody listens at
// shows at the first request.
func New(cfg Config) (*Client, error) {
	u, err := url.Parse(strings.TrimRight(cfg.URL, "/"))
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil, errors.New("the address of Elasticsearch must look like http://host:9200")
	}
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.MaxIdleConnsPerHost = 64
	// Windows are read at 430,000 documents/s as they are and at 280,000 compressed,
	// measured with server and client on one machine.
	transport.DisableCompression = true
	transport.ReadBufferSize, transport.WriteBufferSize = 64<<10, 64<<10
	if transport.TLSClientConfig, err = tlsConfig(cfg); err != nil {
		return nil, fmt.Errorf("certificates for Elasticsearch: %w", err)
	}
	// Who calls decides what is repeated, so the library must not.
	es, err := elasticsearch.NewBaseClient(elasticsearch.Config{
		Addresses: []string{u.String()}, Username: cfg.Username, Password: cfg.Password,
		APIKey: cfg.APIKey, DisableRetry: true, Transport: genuine{transport},
	})
	if err != nil {
		return nil, fmt.Errorf("client of Elasticsearch: %w", err)
	}
	return &Client{es: es, address: u.Scheme + "://" + u.Host}, nil
}

// tlsConfig returns what an https connection trusts and shows; nil is Go's default.
func tlsConfig(cfg Config) (*tls.Config, error) {
	if cfg.CAFile == "" && cfg.CertFile == "" && cfg.KeyFile == "" {
		return nil, nil
	}
	c := &tls.Config{MinVersion: tls.VersionTLS12}
	if cfg.CAFile != "" {
		pem, err := os.ReadFile(cfg.CAFile)
		if err != nil {
			return nil, err
		}
		c.RootCAs = x509.NewCertPool()
		if !c.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("no PEM certificate in %s", cfg.CAFile)
		}
	}
	if cfg.CertFile == "" && cfg.KeyFile == "" {
		return c, nil
	}
	pair, err := tls.LoadX509KeyPair(cfg.CertFile, cfg.KeyFile)
	if err != nil {
		return nil, fmt.Errorf("load the client's certificate and key: %w", err)
	}
	c.Certificates = []tls.Certificate{pair}
	return c, nil
}

// genuine lets no success pass that is not from Elasticsearch. The library
// checks only the first answer of a client's life.
type genuine struct{ http.RoundTripper }

func (g genuine) RoundTrip(req *http.Request) (*http.Response, error) {
	res, err := g.RoundTripper.RoundTrip(req)
	if err == nil && res.StatusCode < 300 && !isGenuine(res) {
		res.Body.Close()
		return nil, errProduct
	}
	return res, err
}

func isGenuine(res *http.Response) bool {
	return res.Header.Get("X-Elastic-Product") == "Elasticsearch"
}

// request is one HTTP request. Its answer is read whole.
type request struct {
	op     string // for the error
	method string
	path   path
	body   []byte // none when nil
	ndjson bool   // the body is of lines
}

// do sends a request and gives the body of the answer, which had status 2xx.
// The error is an *Error, or that of ctx when it was cancelled.
func (c *Client) do(ctx context.Context, r request) ([]byte, error) {
	if r.path.err != nil {
		return nil, refusedName(r.op, r.path.err)
	}
	var body io.Reader
	if r.body != nil {
		body = bytes.NewReader(r.body)
	}
	req, err := http.NewRequestWithContext(ctx, r.method, r.path.text, body)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", r.op, err)
	}
	switch {
	case r.ndjson:
		req.Header.Set("Content-Type", "application/x-ndjson")
	case r.body != nil:
		req.Header.Set("Content-Type", "application/json")
	}
	res, err := c.es.Perform(req)
	if err != nil {
		return nil, c.noAnswer(ctx, r.op, err)
	}
	defer res.Body.Close()
	answer, err := readAll(res)
	switch {
	case err == nil && res.StatusCode < 300:
		return answer, nil
	case err == nil:
		return nil, failedAnswer(r.op, res.StatusCode, isGenuine(res), answer)
	case errors.Is(err, errTooLong):
		return nil, &Error{Kind: Refused, Op: r.op, Status: res.StatusCode, Reason: errTooLong.Error(), err: errTooLong}
	case ctx.Err() != nil:
		return nil, c.noAnswer(ctx, r.op, err)
	default:
		return nil, &Error{Kind: Malformed, Op: r.op, Status: res.StatusCode,
			Reason: "the answer was cut off: " + shorten(err.Error()), err: err}
	}
}

// doJSON sends in as JSON, unless it is nil, and decodes the answer into out.
func (c *Client) doJSON(ctx context.Context, op, method string, path path, in, out any) error {
	r := request{op: op, method: method, path: path}
	if in != nil {
		r.body = encode(in)
	}
	answer, err := c.do(ctx, r)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(answer, out); err != nil {
		return malformed(op, "an answer that cannot be read: %v", err)
	}
	return nil
}

// encode gives v as JSON.
func encode(v any) []byte {
	body, err := json.Marshal(v)
	if err != nil {
		panic(err) // our own plain types: always encodable
	}
	return body
}

// noAnswer is the error for a request that got no answer.
func (c *Client) noAnswer(ctx context.Context, op string, err error) error {
	if errors.Is(ctx.Err(), context.Canceled) {
		return fmt.Errorf("%s: %w", op, ctx.Err())
	}
	if ctx.Err() != nil {
		err = ctx.Err()
	}
	e := &Error{Kind: Unavailable, Op: op, err: err, Reason: c.address + " gives no answer: " + shorten(err.Error())}
	if errors.Is(err, errProduct) {
		e.Kind, e.Reason = Malformed, c.address+": "+errProduct.Error()
	}
	return e
}

// readAll reads an answer of at most maxAnswer bytes.
func readAll(res *http.Response) ([]byte, error) {
	var buf bytes.Buffer
	if n := res.ContentLength; n > 0 && n <= maxAnswer {
		buf.Grow(int(n) + bytes.MinRead)
	}
	_, err := buf.ReadFrom(io.LimitReader(res.Body, maxAnswer+1))
	if err == nil && buf.Len() > maxAnswer {
		err = errTooLong
	}
	return buf.Bytes(), err
}

// indexName is what Elasticsearch allows, without what would name several
// indices at once.
var indexName = regexp.MustCompile(`^[a-z0-9][a-z0-9_.-]{0,200}$`)

// ErrIndexName means that a name cannot be that of a raw index.
var ErrIndexName = errors.New("not the name of a raw index")

// checkIndex refuses names that are not those of one index, and those of the
// indices that stand beside another raw index.
func checkIndex(index string) error {
	if !indexName.MatchString(index) {
		return badName(index)
	}
	for _, beside := range []string{QuarantineIndex(""), ReleasesIndex("")} {
		if strings.HasSuffix(index, beside) {
			return fmt.Errorf("%w: %q; names that end with %s are those of the pipeline's own indices", ErrIndexName, index, beside)
		}
	}
	return nil
}

// pause waits for d, or until ctx ends.
func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}
