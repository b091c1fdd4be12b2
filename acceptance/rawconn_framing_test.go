package acceptance

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
)

// Parts of requests. A server that finds another end of the request than this one takes the following bytes for a second request.
const (
	host             = "Host: localhost\r\n"
	jsonContentType  = "Content-Type: application/json\r\n"
	getLivez         = "GET /livez HTTP/1.1\r\n" + host
	postLoginOptions = "POST /v1/login/options HTTP/1.1\r\n" + host + jsonContentType
	chunked          = postLoginOptions + "Transfer-Encoding: chunked\r\n\r\n"
	lastChunk        = "0\r\n\r\n"
	smuggled         = "GET /smuggled HTTP/1.1\r\n" + host + "\r\n"
)

// Each request gets one response, and the server closes the connection: it must not interpret the following bytes (OWASP ASVS
// 5.0, 4.2.1).
// Requirement: ASVS-4.2.1
func TestFraming_AmbiguousRequestsRejected(t *testing.T) {
	t.Parallel()
	s := startServer(t, newClock(), nil)
	long := strings.Repeat("x", 20<<10)
	for name, c := range map[string]struct {
		raw    string
		status int
	}{
		"a length and chunks":                     {postLoginOptions + "Content-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n" + lastChunk, 400},
		"chunks and a length":                     {postLoginOptions + "Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n2\r\n{}\r\n" + lastChunk, 400},
		"chunked twice":                           {postLoginOptions + "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n" + lastChunk, 400},
		"chunked, then an unknown one":            {postLoginOptions + "Transfer-Encoding: chunked\r\nTransfer-Encoding: x\r\n\r\n" + lastChunk, 400},
		"an unknown one, then chunked":            {postLoginOptions + "Transfer-Encoding: x\r\nTransfer-Encoding: chunked\r\n\r\n" + lastChunk, 400},
		"xchunked":                                {postLoginOptions + "Transfer-Encoding: xchunked\r\n\r\n" + lastChunk, 400},
		"chunked, in quotes":                      {postLoginOptions + "Transfer-Encoding: \"chunked\"\r\n\r\n" + lastChunk, 400},
		"chunked after a vertical tab":            {postLoginOptions + "Transfer-Encoding: \x0bchunked\r\n\r\n" + lastChunk, 400},
		"chunked in a folded header":              {postLoginOptions + "Transfer-Encoding:\r\n chunked\r\n\r\n" + lastChunk, 400},
		"a space before the colon of chunked":     {postLoginOptions + "Transfer-Encoding : chunked\r\n\r\n" + lastChunk, 400},
		"compressed chunks":                       {postLoginOptions + "Transfer-Encoding: gzip, chunked\r\n\r\n" + lastChunk, 400},
		"identity":                                {postLoginOptions + "Transfer-Encoding: identity\r\n\r\n", 400},
		"identity and a length":                   {postLoginOptions + "Transfer-Encoding: identity\r\nContent-Length: 2\r\n\r\n{}", 400},
		"an empty Transfer-Encoding":              {postLoginOptions + "Transfer-Encoding:\r\n\r\n", 400},
		"chunks in HTTP/1.0":                      {strings.Replace(chunked, "1.1", "1.0", 1) + lastChunk, 400},
		"a chunk in LF":                           {chunked + "2\n{}\n0\n\n", 400},
		"a last chunk in LF":                      {chunked + "2\r\n{}\r\n0\n\n", 400},
		"a chunk of 0x2":                          {chunked + "0x2\r\n{}\r\n" + lastChunk, 400},
		"a chunk of +2":                           {chunked + "+2\r\n{}\r\n" + lastChunk, 400},
		"a chunk of -2":                           {chunked + "-2\r\n{}\r\n" + lastChunk, 400},
		"a space before a chunk size":             {chunked + " 2\r\n{}\r\n" + lastChunk, 400},
		"a chunk of 2_0":                          {chunked + "2_0\r\n{}\r\n" + lastChunk, 400},
		"a chunk of no size":                      {chunked + "\r\n{}\r\n" + lastChunk, 400},
		"a chunk size of more than 64 bits":       {chunked + "10000000000000002\r\n{}\r\n" + lastChunk, 400},
		"a chunk size of 64 ones":                 {chunked + "ffffffffffffffff\r\n{}\r\n" + lastChunk, 400},
		"a chunk size near 63 ones":               {chunked + "7ffffffffffffffe\r\n{}\r\n" + lastChunk, 400},
		"an extension with LF":                    {chunked + "2;a\nb\r\n{}\r\n" + lastChunk, 400},
		"a chunk size with leading zeros":         {chunked + "0000000000000002\r\n{}\r\n" + lastChunk, 400},
		"a chunk of 2.0":                          {chunked + "2.0\r\n{}\r\n" + lastChunk, 400},
		"a chunk of 2 2":                          {chunked + "2 2\r\n{}\r\n" + lastChunk, 400},
		"an extension with CR":                    {chunked + "2;a\rb\r\n{}\r\n" + lastChunk, 400},
		"a quoted extension with LF":              {chunked + "2;a=\"\nb\"\r\n{}\r\n" + lastChunk, 400},
		"an extension without an end quote":       {chunked + "2;a=\"\r\n{}\r\n" + lastChunk, 400},
		"an extension with CRLF":                  {chunked + "2;a=\"b\r\nc\"\r\n{}\r\n" + lastChunk, 400},
		"an extension with NUL":                   {chunked + "2;a\x00\r\n{}\r\n" + lastChunk, 400},
		"an extension with a control character":   {chunked + "2;a=\"\x01\"\r\n{}\r\n" + lastChunk, 400},
		"an extension that is not ASCII":          {chunked + "2;\xe9\r\n{}\r\n" + lastChunk, 400},
		"an extension with an at sign":            {chunked + "2;a@b\r\n{}\r\n" + lastChunk, 400},
		"an extension without a name":             {chunked + "2;=b\r\n{}\r\n" + lastChunk, 400},
		"a space before an extension":             {chunked + "2 ;a\r\n{}\r\n" + lastChunk, 400}, // by fasthttp; RFC 9112, 7.1.1 reads over it
		"a tab before an extension of the last":   {chunked + "2\r\n{}\r\n0\t;a\r\n\r\n", 400},
		"an empty extension":                      {chunked + "2;\r\n{}\r\n" + lastChunk, 400},
		"an extension without a value":            {chunked + "2;a=\r\n{}\r\n" + lastChunk, 400},
		"an extension after a comma":              {chunked + "2,a\r\n{}\r\n" + lastChunk, 400},
		"an extension of a last chunk":            {chunked + "2\r\n{}\r\n0;a\x7f\r\n\r\n", 400},
		"a long extension":                        {chunked + "2;" + long[:1<<10] + "\r\n{}\r\n" + lastChunk, 400},
		"a long quoted extension":                 {chunked + "2;a=\"" + long[:1<<10] + "\"\r\n{}\r\n" + lastChunk, 400},
		"an extension of 1 MiB":                   {chunked + "2;" + strings.Repeat(long[:16<<10], 64) + "\r\n{}\r\n" + lastChunk, 400},
		"many extensions":                         {chunked + "2" + strings.Repeat(";a", 600) + "\r\n{}\r\n" + lastChunk, 400},
		"many spaces after a size":                {chunked + "2" + strings.Repeat(" ", 1<<10) + "\r\n{}\r\n" + lastChunk, 400},
		"an extension in every chunk":             {chunked + strings.Repeat("1;"+long[:1000]+"\r\n \r\n", 1000), 400},
		"a chunk that ends in LF":                 {chunked + "2\r\n{}\n" + lastChunk, 400},
		"a chunk without an end":                  {chunked + "2\r\n{}" + lastChunk, 400},
		"a trailer part that ends in LF":          {chunked + "2\r\n{}\r\n0\r\n\n", 400},
		"chunks without an end":                   {chunked + "2\r\n{}\r\n0\r\n", 400},
		"a trailer in LF":                         {chunked + "2\r\n{}\r\n0\r\nX: a\n\r\n", 400},
		"chunked with a parameter":                {postLoginOptions + "Transfer-Encoding: chunked;q=1\r\n\r\n" + lastChunk, 400},
		"chunked before a comma":                  {postLoginOptions + "Transfer-Encoding: chunked,\r\n\r\n" + lastChunk, 400},
		"chunked after a comma":                   {postLoginOptions + "Transfer-Encoding: , chunked\r\n\r\n" + lastChunk, 400},
		"chunked in a list, twice":                {postLoginOptions + "Transfer-Encoding: chunked, chunked\r\n\r\n" + lastChunk, 400},
		"identity, then chunked":                  {postLoginOptions + "Transfer-Encoding: identity, chunked\r\n\r\n" + lastChunk, 400},
		"chunked with NUL":                        {postLoginOptions + "Transfer-Encoding: chunked\x00\r\n\r\n" + lastChunk, 400},
		"an LF before the first line":             {"\n" + getLivez + "\r\n", 400},
		"a very long method":                      {long + " /livez HTTP/1.1\r\n" + host + "\r\n", 431},
		"HTTP/0.9 without a version":              {"GET /livez\r\n\r\n", 400},
		"HTTP/2 with frames":                      {"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00", 400},
		"a chunk longer than it says":             {chunked + "1\r\n{}\r\n" + lastChunk, 400},
		"a chunk larger than a body":              {chunked + "7fffffffffffff\r\n{}\r\n" + lastChunk, 413},
		"chunks larger than a body":               {chunked + strings.Repeat("4000\r\n"+strings.Repeat(" ", 0x4000)+"\r\n", 5), 413},
		"a trailer":                               {chunked + "2\r\n{}\r\n0\r\nX-CSRF-Token: x\r\n\r\n", 400},
		"an announced trailer":                    {postLoginOptions + "Trailer: Origin\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\nOrigin: " + "http://localhost" + "\r\n\r\n", 400},
		"a length in a trailer":                   {chunked + "2\r\n{}\r\n0\r\nContent-Length: 5\r\n\r\n", 400},
		"a trailer without an end":                {chunked + "2\r\n{}\r\n0\r\nX: " + long, 431},
		"two lengths":                             {postLoginOptions + "Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}", 400},
		"two equal lengths":                       {postLoginOptions + "Content-Length: 2\r\nContent-Length: 2\r\n\r\n{}", 400},
		"a list of lengths":                       {postLoginOptions + "Content-Length: 2, 2\r\n\r\n{}", 400},
		"a length of +2":                          {postLoginOptions + "Content-Length: +2\r\n\r\n{}", 400},
		"a length of -2":                          {postLoginOptions + "Content-Length: -2\r\n\r\n{}", 400},
		"a length of 0x2":                         {postLoginOptions + "Content-Length: 0x2\r\n\r\n{}", 400},
		"a length of 2.0":                         {postLoginOptions + "Content-Length: 2.0\r\n\r\n{}", 400},
		"a length with a space in it":             {postLoginOptions + "Content-Length: 2 2\r\n\r\n{}", 400},
		"an empty length":                         {postLoginOptions + "Content-Length:\r\n\r\n{}", 400},
		"a length of more than 64 bits":           {postLoginOptions + "Content-Length: 18446744073709551618\r\n\r\n{}", 400},
		"a length larger than a body":             {postLoginOptions + "Content-Length: 65537\r\n\r\n", 413},
		"a folded header":                         {getLivez + "X-A: b\r\n c\r\n\r\n", 400},
		"a header folded with a tab":              {getLivez + "X-A: b\r\n\tc\r\n\r\n", 400},
		"a folded first header":                   {"GET /livez HTTP/1.1\r\n X: a\r\n" + host + "\r\n", 400},
		"a request line in LF":                    {"GET /livez HTTP/1.1\n" + host + "\r\n", 400},
		"a header in LF":                          {getLivez + "X-A: b\nX-B: c\r\n\r\n", 400},
		"headers that end in LF":                  {getLivez + "\n", 400},
		"all in LF":                               {"GET /livez HTTP/1.1\nHost: localhost\n\n", 400},
		"a CR in a value":                         {getLivez + "X-A: b\rX-B: c\r\n\r\n", 400},
		"NUL in a name":                           {getLivez + "X\x00A: b\r\n\r\n", 400},
		"NUL in a value":                          {getLivez + "X-A: b\x00c\r\n\r\n", 400},
		"NUL in the target":                       {"GET /livez\x00 HTTP/1.1\r\n" + host + "\r\n", 400},
		"DEL in a value":                          {getLivez + "X-A: b\x7fc\r\n\r\n", 400},
		"a space before the colon":                {getLivez + "X-A : b\r\n\r\n", 400},
		"a space in a name":                       {getLivez + "X A: b\r\n\r\n", 400},
		"no colon":                                {getLivez + "XA\r\n\r\n", 400},
		"no name":                                 {getLivez + ": b\r\n\r\n", 400},
		"parentheses in a name":                   {getLivez + "X(A): b\r\n\r\n", 400},
		"no host":                                 {"GET /livez HTTP/1.1\r\n\r\n", 400},
		"an empty host":                           {"GET /livez HTTP/1.1\r\nHost:\r\n\r\n", 400},
		"two hosts":                               {getLivez + "Host: evil.example\r\n\r\n", 400},
		"two equal hosts":                         {getLivez + host + "\r\n", 400},
		"a list of hosts":                         {"GET /livez HTTP/1.1\r\nHost: localhost, evil.example\r\n\r\n", 400},
		"a host with a user name":                 {"GET /livez HTTP/1.1\r\nHost: evil.example@localhost\r\n\r\n", 400},
		"a host with a path":                      {"GET /livez HTTP/1.1\r\nHost: localhost/x\r\n\r\n", 400},
		"a host with a space":                     {"GET /livez HTTP/1.1\r\nHost: local host\r\n\r\n", 400},
		"a host with a control character":         {"GET /livez HTTP/1.1\r\nHost: local\x01host\r\n\r\n", 400},
		"a host that is not ASCII":                {"GET /livez HTTP/1.1\r\nHost: loc\xc3\xa4lhost\r\n\r\n", 400},
		"a host with a port that is not a number": {"GET /livez HTTP/1.1\r\nHost: localhost:x\r\n\r\n", 400},
		"a target with a user name":               {"GET http://ada@localhost/livez HTTP/1.1\r\n" + host + "\r\n", 400},
		"a target of another scheme":              {"GET ftp://localhost/livez HTTP/1.1\r\n" + host + "\r\n", 400},
		"a target with a fragment":                {"GET /livez#x HTTP/1.1\r\n" + host + "\r\n", 400},
		"a target that is a host":                 {"GET localhost:80 HTTP/1.1\r\n" + host + "\r\n", 400},
		"CONNECT with an authority":               {"CONNECT localhost:80 HTTP/1.1\r\n" + host + "\r\n", 400},
		"GET *":                                   {"GET * HTTP/1.1\r\n" + host + "\r\n", 400},
		"two spaces in the first line":            {"GET  /livez HTTP/1.1\r\n" + host + "\r\n", 400},
		"a space in the target":                   {"GET /livez x HTTP/1.1\r\n" + host + "\r\n", 400},
		"a space after the version":               {"GET /livez HTTP/1.1 \r\n" + host + "\r\n", 400},
		"tabs in the first line":                  {"GET\t/livez\tHTTP/1.1\r\n" + host + "\r\n", 400},
		"no version":                              {"GET /livez\r\n" + host + "\r\n", 400},
		"HTTP/0.9":                                {"GET /livez HTTP/0.9\r\n" + host + "\r\n", 400},
		"HTTP/1.2":                                {"GET /livez HTTP/1.2\r\n" + host + "\r\n", 400},
		"HTTP/2.0":                                {"GET /livez HTTP/2.0\r\n" + host + "\r\n", 400},
		"the preface of HTTP/2":                   {"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400},
		"a version in lower case":                 {"GET /livez http/1.1\r\n" + host + "\r\n", 400},
		"a method that is not a token":            {"G@T /livez HTTP/1.1\r\n" + host + "\r\n", 400},
		"TLS":                                     {"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", 400},
		"a long target":                           {"GET /" + long + " HTTP/1.1\r\n" + host + "\r\n", 431},
		"a long header":                           {getLivez + "X: " + long + "\r\n\r\n", 431},
		"a long name":                             {getLivez + long + ": x\r\n\r\n", 431},
		"many headers":                            {getLivez + strings.Repeat("X: y\r\n", 4000) + "\r\n", 431},
	} {
		t.Run(name, func(t *testing.T) {
			conn := s.dial(t).send(c.raw + smuggled)
			got := conn.readResponse(http.MethodGet)
			if !got.Close {
				t.Fatalf("got status %d, and the connection stays open", got.StatusCode)
			}
			got.requireProblem(t, c.status, map[int]string{400: "invalid_request", 413: "body_too_large", 431: "invalid_request"}[c.status])
			if more := conn.readResponses(); len(more) > 0 {
				t.Errorf("the following bytes got the responses %v", statusCodes(more))
			}
		})
	}
	if strings.Contains(s.log.text(), "/smuggled") {
		t.Error("a smuggled request was served")
	}
}

// Unusual but unambiguous requests are served, and so is the following request on the connection.
// Requirement: ASVS-4.2.1
func TestFraming_UnusualValidRequestsServed(t *testing.T) {
	t.Parallel()
	s := startServer(t, newClock(), nil)
	for name, c := range map[string]struct {
		raw  string
		want []int
	}{
		"two requests":                       {getLivez + "\r\n", []int{200}},
		"a length with zeros":                {postLoginOptions + "Content-Length: 002\r\n\r\n{}", []int{200}},
		"spaces around a value":              {postLoginOptions + "Content-Length: \t 2 \t\r\n\r\n{}", []int{200}},
		"an unnecessary body":                {getLivez + "Content-Length: 2\r\n\r\n{}", []int{200}},
		"no length, no body":                 {postLoginOptions + "\r\n", []int{200}},
		"an empty line before the request":   {"\r\n" + getLivez + "\r\n", []int{200}},
		"an absolute target":                 {"GET http://localhost/livez HTTP/1.1\r\n" + host + "\r\n", []int{200}},
		"an IPv6 host":                       {"GET /livez HTTP/1.1\r\nHost: [::1]:8080\r\n\r\n", []int{200}},
		"HTTP/1.0 with keep-alive":           {"GET /livez HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", []int{200}},
		"Expect: 100-continue":               {postLoginOptions + "Expect: 100-continue\r\nContent-Length: 2\r\n\r\n{}", []int{100, 200}},
		"Expect: 100-Continue":               {postLoginOptions + "Expect: 100-Continue\r\nContent-Length: 2\r\n\r\n{}", []int{100, 200}},
		"another expectation":                {postLoginOptions + "Expect: 200-ok\r\nContent-Length: 2\r\n\r\n{}", []int{200}},
		"two expectations":                   {postLoginOptions + "Expect: 100-continue, x\r\nContent-Length: 2\r\n\r\n{}", []int{200}},
		"an expectation in HTTP/1.0":         {"POST /v1/login/options HTTP/1.0\r\n" + jsonContentType + "Connection: keep-alive\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n{}", []int{200}},
		"an absolute target of another host": {"GET http://example.org/livez HTTP/1.1\r\n" + host + "\r\n", []int{200}}, // RFC 9112, 3.2.2
		"100 empty lines before the request": {strings.Repeat("\r\n", 100) + getLivez + "\r\n", []int{200}},
		"LF in a body":                       {postLoginOptions + "Content-Length: 6\r\n\r\n{\n\n\n\n}", []int{200}},
		"an empty header":                    {getLivez + "X:\r\n\r\n", []int{200}},
		"no upgrade to HTTP/2":               {getLivez + "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQCAAAAAAIAAAAA\r\n\r\n", []int{200}},
		"no upgrade to a web socket":         {getLivez + "Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n", []int{200}},
		"a version in a body":                {postLoginOptions + "Content-Length: 17\r\n\r\n{\"x\":\"HTTP/1.1\"\n}", []int{200}},
		"a target with two slashes":          {"GET //livez HTTP/1.1\r\n" + host + "\r\n", []int{404}},
		"a target with dot segments":         {"GET /x/../livez HTTP/1.1\r\n" + host + "\r\n", []int{404}},
		"a target with encoded dot segments": {"GET /x/%2e%2e/livez HTTP/1.1\r\n" + host + "\r\n", []int{404}},
		"a target with an encoded character": {"GET /%6civez HTTP/1.1\r\n" + host + "\r\n", []int{404}},
		"a target with an encoded NUL":       {"GET /livez%00 HTTP/1.1\r\n" + host + "\r\n", []int{404}},
		"OPTIONS *":                          {"OPTIONS * HTTP/1.1\r\n" + host + "\r\n", []int{404}},
		"TRACE":                              {"TRACE /livez HTTP/1.1\r\n" + host + "\r\n", []int{405}},
		"CONNECT with a path":                {"CONNECT /livez HTTP/1.1\r\n" + host + "\r\n", []int{405}},
		"a method in lower case":             {"get /livez HTTP/1.1\r\n" + host + "\r\n", []int{405}},
		"a long method":                      {strings.Repeat("A", 5000) + " /livez HTTP/1.1\r\n" + host + "\r\n", []int{405}},
	} {
		t.Run(name, func(t *testing.T) {
			got := statusCodes(s.dial(t).send(c.raw + getLivez + "\r\n").closeWrite().readResponses())
			if want := append(slices.Clone(c.want), 200); !slices.Equal(got, want) {
				t.Errorf("got the responses %v, want %v", got, want)
			}
		})
	}
}

// Implementations often disagree about the end of a chunked body, so the server closes the connection after one.
// Requirement: ASVS-4.2.1
func TestFraming_ChunkedBodyClosesConnection(t *testing.T) {
	t.Parallel()
	s := startServer(t, newClock(), nil)
	for name, raw := range map[string]string{
		"chunks":                    chunked + "1\r\n{\r\n1\r\n}\r\n" + lastChunk,
		"no content":                chunked + lastChunk,
		"no content, an extension":  chunked + "0;a=b\r\n\r\n",
		"no content of a GET":       getLivez + "Transfer-Encoding: chunked\r\n\r\n" + lastChunk,
		"the header in upper case":  postLoginOptions + "TRANSFER-ENCODING: CHUNKED\r\n\r\n2\r\n{}\r\n" + lastChunk,
		"a chunk with an extension": chunked + "2;a=b\r\n{}\r\n" + lastChunk,
		"a space after a size":      chunked + "2 \r\n{}\r\n" + lastChunk,
		"a size with zeros":         chunked + "00002\r\n{}\r\n0000\r\n\r\n",
		"a size in upper case":      chunked + "A\r\n{        }\r\n" + lastChunk,
		"extensions":                chunked + "2;a;b=c;d=\"e;f\\\"\"\r\n{}\r\n0;g\r\n\r\n",
		"a long extension":          chunked + "2;" + strings.Repeat("x", 1000) + "\r\n{}\r\n" + lastChunk,
		"chunks of one byte each":   chunked + strings.Repeat("1\r\n \r\n", 1000) + "2\r\n{}\r\n" + lastChunk,
		"Chunked":                   postLoginOptions + "Transfer-Encoding: Chunked\r\n\r\n2\r\n{}\r\n" + lastChunk,
	} {
		conn := s.dial(t).send(raw + smuggled)
		got := conn.readResponse(http.MethodGet)
		if got.StatusCode != 200 || !got.Close {
			t.Fatalf("%s: got status %d, connection stays open: %t", name, got.StatusCode, !got.Close)
		}
		if more := conn.readResponses(); len(more) > 0 {
			t.Errorf("%s: the following bytes got the responses %v", name, statusCodes(more))
		}
	}
	if strings.Contains(s.log.text(), "/smuggled") {
		t.Error("a smuggled request was served")
	}
}

func TestFraming_HTTP10ClosesConnection(t *testing.T) {
	t.Parallel()
	s := startServer(t, newClock(), nil)
	for _, raw := range []string{"GET /livez HTTP/1.0\r\n\r\n", getLivez + "Connection: close\r\n\r\n", getLivez + "Connection: x, close\r\n\r\n"} {
		if got := s.dial(t).send(raw + smuggled).readResponses(); !slices.Equal(statusCodes(got), []int{200}) || !got[0].Close {
			t.Errorf("%q got the responses %v", raw, statusCodes(got))
		}
	}
}

// Responses to pipelined requests have the order of the requests, also if some are rejected.
// Requirement: ASVS-4.2.1
func TestFraming_PipelinedRequestsInOrder(t *testing.T) {
	t.Parallel()
	s := startServer(t, newClock(), nil)
	var raw strings.Builder
	const many = 300
	for i := range many {
		body := strings.Repeat(" ", i) + "{}"
		fmt.Fprintf(&raw, "POST %s HTTP/1.1\r\n%s%sX-Request-Id: pipelined-%d\r\nContent-Length: %d\r\n\r\n%s",
			[]string{"/v1/login/options", "/nothing", "/livez"}[i%3], host, jsonContentType, i, len(body), body)
	}
	conn := s.dial(t)
	go func() { conn.send(raw.String()).closeWrite() }()
	got := conn.readResponses()
	if len(got) != many {
		t.Fatalf("got %d responses, want %d", len(got), many)
	}
	for i, a := range got {
		if want := []int{200, 404, 405}[i%3]; a.StatusCode != want || s.log.clientRequestIDOf(a.Header.Get("X-Request-Id")) != fmt.Sprintf("pipelined-%d", i) {
			t.Errorf("response %d has status %d and belongs to request %s", i, a.StatusCode, s.log.clientRequestIDOf(a.Header.Get("X-Request-Id")))
		}
	}
}

// A request before a malformed one gets its response, also if both arrive at once.
// Requirement: ASVS-4.2.1
func TestFraming_RequestBeforeErrorIsAnswered(t *testing.T) {
	t.Parallel()
	s := startServer(t, newClock(), nil)
	for name, malformed := range map[string]string{
		"a request line in LF":  "GET /livez HTTP/1.1\n" + host + "\r\n",
		"a header in LF":        getLivez + "X: a\n\r\n",
		"a folded header":       getLivez + "X: a\r\n b\r\n\r\n",
		"an extension with NUL": chunked + "2;a\x00\r\n{}\r\n" + lastChunk,
		"not HTTP":              "\x16\x03\x01\r\n\r\n",
	} {
		got := statusCodes(s.dial(t).send(getLivez + "\r\n" + postLoginOptions + "Content-Length: 2\r\n\r\n{}" + malformed + smuggled).readResponses())
		if !slices.Equal(got, []int{200, 200, 400}) {
			t.Errorf("%s: got the responses %v", name, got)
		}
	}
}

// An incomplete request is not served when the client closes the connection.
func TestFraming_IncompleteRequestHasNoEffect(t *testing.T) {
	t.Parallel()
	s := startServer(t, newClock(), nil)
	for name, raw := range map[string]string{
		"half a line":   "GET /liv",
		"half a header": getLivez + "X-A: b",
		"half a body":   postLoginOptions + "Content-Length: 2\r\n\r\n{",
		"half a chunk":  chunked + "2\r\n{",
		"no last chunk": chunked + "2\r\n{}\r\n",
		"half a length": chunked + "2",
	} {
		for _, a := range s.dial(t).send(raw).closeWrite().readResponses() {
			a.requireProblem(t, http.StatusBadRequest, "invalid_request")
		}
		if served := strings.Count(s.log.text(), `"msg":"request"`); served > 0 {
			t.Fatalf("%s was served: %s", name, s.log.text())
		}
	}
}
