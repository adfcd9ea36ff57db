<?php

/*
 * Writes chevereto.json: the stored form of tenants in a Chevereto 4.5 installation, made with PHP's own
 * serialize() and phpseclib3's ChaCha20. No line of Chevereto is in it.
 *
 *   php make-vectors.php chevereto.json     (Debian: php-cli php-phpseclib3; no Redis needed)
 *
 * Every ciphertext is checked three ways before it is written: opened again with phpseclib3, compared with
 * OpenSSL's ChaCha20 at block counter 0 (must agree) and at block counter 1 (must not).
 */

declare(strict_types=1);

require 'phpseclib3/autoload.php';

use phpseclib3\Crypt\ChaCha20;

const KEY_A = '000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f';
const KEY_B = 'f0e1d2c3b4a5968778695a4b3c2d1e0f00112233445566778899aabbccddeeff';
const KEY_ZERO = '0000000000000000000000000000000000000000000000000000000000000000';

function phpseclib_cipher(string $key, string $nonce): ChaCha20
{
    $cipher = new ChaCha20();
    $cipher->setNonce($nonce);
    $cipher->setKey($key);

    return $cipher;
}

/** ChaCha20 through OpenSSL, whose IV is the 32-bit little-endian block counter and then the nonce. */
function openssl_chacha20(string $key, string $nonce, int $counter, string $text): string
{
    return openssl_encrypt($text, 'chacha20', $key, OPENSSL_RAW_DATA, pack('V', $counter) . $nonce);
}

/** nonce + ciphertext, after the three checks. */
function seal(string $key, string $nonce, string $plaintext): string
{
    $ciphertext = phpseclib_cipher($key, $nonce)->encrypt($plaintext);
    if (phpseclib_cipher($key, $nonce)->decrypt($ciphertext) !== $plaintext) {
        throw new RuntimeException('phpseclib3 does not open what it sealed');
    }
    if (openssl_chacha20($key, $nonce, 0, $ciphertext) !== $plaintext) {
        throw new RuntimeException('counter 0 does not open what phpseclib3 sealed');
    }
    if (openssl_chacha20($key, $nonce, 1, $ciphertext) === $plaintext) {
        throw new RuntimeException('counter 1 opens what phpseclib3 sealed');
    }

    return $nonce . $ciphertext;
}

/** The tenant's ten entries, in the order in which Chevereto's query and merge leave them. */
function tenant_row(array $given, ?string $env): array
{
    return [
        'id' => $given['id'],
        'hostname' => $given['hostname'],
        'limits' => $given['limits'] ?? null,
        'env' => $env,
        'is_enabled' => $given['is_enabled'] ?? 1,
        'plan_id' => $given['plan_id'] ?? null,
        'created_at' => $given['created_at'] ?? '2026-08-17 23:15:57',
        'updated_at' => $given['updated_at'] ?? null,
        'last_job_at' => $given['last_job_at'] ?? null,
        'stats' => $given['stats'] ?? null,
    ];
}

/** PHP has one empty array; JSON must say which kind it stands for. Empty `limits` and `env` are maps. */
function as_map(?array $value): array|object|null
{
    return $value === [] ? new stdClass() : $value;
}

function vector(array $case): array
{
    $key = hex2bin($case['key'] ?? KEY_A);
    $nonce = hex2bin($case['nonce']);
    $form = $case['env_form'] ?? 'binary';
    $plaintext = array_key_exists('plaintext', $case)
        ? $case['plaintext']
        : ($case['env'] === null ? null : serialize($case['env']));
    $sealed = $plaintext === null ? null : seal($key, $nonce, $plaintext);
    $vector = [
        'name' => $case['name'],
        'note' => $case['note'],
        'key_base64' => base64_encode($key),
        'nonce_hex' => bin2hex($nonce),
        'env' => as_map($case['env']),
        'plaintext_base64' => $plaintext === null ? null : base64_encode($plaintext),
        'stored' => $sealed === null ? null : base64_encode($sealed),
        'env_form' => $sealed === null ? null : $form,
        'tenant' => null,
        'redis_value_base64' => null,
    ];
    if (! isset($case['tenant'])) {
        return $vector;
    }
    $in_redis = $sealed === null || $form === 'binary' ? $sealed : base64_encode($sealed);
    $row = tenant_row($case['tenant'], $in_redis);
    $value = serialize($row);
    if (unserialize($value) !== $row) {
        throw new RuntimeException('unserialize() does not give the row back');
    }
    $shown = $row;
    $shown['env'] = $vector['stored'];
    $shown['limits'] = as_map($row['limits']);
    $vector['tenant'] = $shown;
    $vector['redis_value_base64'] = base64_encode($value);
    $vector['redis_tenant_key'] = 'chv:_:tenant:' . $row['id'];
    $vector['redis_hostname_key'] = 'chv:_:hostname:' . $row['hostname'];
    $vector['redis_hostname_value_base64'] = base64_encode(serialize($row['id']));

    return $vector;
}

$stats = [
    'tags' => 1, 'files' => 4, 'pages' => 3, 'users' => 2, 'admins' => 1, 'albums' => 0, 'managers' => 0, 'storages' => 1,
    'cron_time' => 0, 'categories' => 0, 'file_likes' => 0, 'file_views' => 14, 'album_likes' => 0, 'album_views' => 0,
    'storage_used' => 5368709120, 'login_providers' => 0,
];
$many = [];
for ($i = 1; $i <= 60; $i++) {
    $many[sprintf('CHEVERETO_VARIABLE_%03d', $i)] = str_repeat(chr(ord('a') + $i % 26), $i);
}
/** An env whose serialize() is exactly so many bytes long. */
$of_length = static function (int $bytes): array {
    for ($n = 0; $n < $bytes; $n++) {
        $env = ['V' => str_repeat('x', $n)];
        if (strlen(serialize($env)) === $bytes) {
            return $env;
        }
    }

    throw new RuntimeException("no env serializes to {$bytes} bytes");
};
$tenant = static fn (string $id, array $more = []): array => ['id' => $id, 'hostname' => "{$id}.example.com"] + $more;
$nonce = static fn (int $n): string => sprintf('%024x', $n);

$cases = [
    ['name' => 'bare', 'note' => 'nothing set: env and limits are null', 'nonce' => $nonce(1), 'env' => null,
        'tenant' => $tenant('bare')],
    ['name' => 'docs', 'note' => 'one variable, one limit, a plan', 'nonce' => $nonce(2), 'env' => ['CUSTOM_VAR' => 'value'],
        'tenant' => $tenant('tenant123', ['plan_id' => 'basic_plan', 'limits' => ['CHEVERETO_MAX_USERS' => '2']])],
    ['name' => 'numeric-id', 'note' => 'an id of digits stays a string; all dates set; stats as a map', 'nonce' => $nonce(3),
        'env' => ['CHEVERETO_CACHE_TIME_MICRO' => '120'],
        'tenant' => ['id' => '1', 'hostname' => 'test.example.com', 'updated_at' => '2026-08-20 13:18:42',
            'last_job_at' => '2026-08-20 13:18:42', 'limits' => ['CHEVERETO_MAX_TAGS' => '500', 'CHEVERETO_MAX_FILES' => '10000'],
            'stats' => $stats]],
    ['name' => 'stats-text', 'note' => 'as the command "cache" leaves it: stats is JSON text as MySQL prints it', 'nonce' => $nonce(4), 'env' => null,
        'tenant' => $tenant('t4', ['stats' => str_replace([':', ','], [': ', ', '], json_encode($stats))])],
    ['name' => 'disabled', 'note' => 'is_enabled is the integer 0', 'nonce' => $nonce(5), 'env' => ['A' => 'b'],
        'tenant' => $tenant('off', ['is_enabled' => 0])],
    ['name' => 'enabled-bool', 'note' => 'a boolean is as good to the reader as an integer', 'nonce' => $nonce(6), 'env' => ['A' => 'b'],
        'tenant' => $tenant('bool', ['is_enabled' => true])],
    ['name' => 'empty-env', 'note' => 'env is an empty array, sealed', 'nonce' => $nonce(7), 'env' => [],
        'tenant' => $tenant('t7')],
    ['name' => 'empty-limits', 'note' => 'limits is an empty array', 'nonce' => $nonce(8), 'env' => null,
        'tenant' => $tenant('t8', ['limits' => []])],
    ['name' => 'limits-only', 'note' => 'limits without env', 'nonce' => $nonce(9), 'env' => null,
        'tenant' => $tenant('t9', ['limits' => ['CHEVERETO_MAX_FILES' => '10000', 'CHEVERETO_MAX_UPLOAD_SIZE' => '20M']])],
    ['name' => 'limits-typed', 'note' => 'limits keep JSON types: int, negative, bool, null, float, list, map', 'nonce' => $nonce(10), 'env' => null,
        'tenant' => $tenant('t10', ['limits' => ['I' => 5, 'N' => -7, 'BIG' => 9007199254740993, 'T' => true, 'F' => false, 'Z' => null,
            'D' => 1.5, 'E' => 1.0E+100, 'L' => ['a', 'b'], 'M' => ['k' => 'v']]])],
    ['name' => 'env-typed', 'note' => 'env keeps JSON types too', 'nonce' => $nonce(11), 'env' => ['S' => 's', 'I' => 5, 'T' => true, 'Z' => null, 'L' => ['a']],
        'tenant' => $tenant('t11')],
    ['name' => 'unicode', 'note' => 'lengths are bytes of UTF-8', 'nonce' => $nonce(12),
        'env' => ['CHEVERETO_PROVIDER_NAME' => "Señor Ünïcödé 日本語 \u{1F600} e\u{301}", 'B' => "\u{FEFF}\u{2028}\u{10FFFF}"],
        'tenant' => $tenant('t12', ['limits' => ['CHEVERETO_MAX_USERS' => '٣']])],
    ['name' => 'special-characters', 'note' => 'nothing is escaped inside a PHP string', 'nonce' => $nonce(13),
        'env' => ['QUOTES' => "\"'`", 'BACKSLASH' => 'a\\b\\', 'LINES' => "a\r\nb\tc\n", 'NUL' => "a\0b", 'PHP' => 's:1:"x";}a:0:{}', 'URL' => 'https://u:p@h/?a=b&c=d#e',
            'JSON' => '{"a":"b"}', 'DOLLAR' => '$HOME ${x} %s {{y}}', 'DEL' => "\x7f", 'EMPTY' => '', 'SPACE' => ' x '],
        'tenant' => $tenant('t13')],
    ['name' => 'long-value', 'note' => '5,000 bytes in one value: 80 blocks', 'nonce' => $nonce(14), 'env' => ['CHEVERETO_LONG' => str_repeat('0123456789', 500)],
        'tenant' => $tenant('t14')],
    ['name' => 'many-values', 'note' => '60 variables', 'nonce' => $nonce(15), 'env' => $many, 'tenant' => $tenant('t15')],
    ['name' => 'block-63', 'note' => 'plaintext of 63 bytes', 'nonce' => $nonce(16), 'env' => $of_length(63), 'tenant' => $tenant('t16')],
    ['name' => 'block-64', 'note' => 'plaintext of 64 bytes, one block', 'nonce' => $nonce(17), 'env' => $of_length(64), 'tenant' => $tenant('t17')],
    ['name' => 'block-65', 'note' => 'plaintext of 65 bytes', 'nonce' => $nonce(18), 'env' => $of_length(65), 'tenant' => $tenant('t18')],
    ['name' => 'block-128', 'note' => 'plaintext of 128 bytes, two blocks', 'nonce' => $nonce(19),
        'env' => $of_length(128), 'tenant' => $tenant('t19')],
    ['name' => 'other-key', 'note' => 'another key, a nonce of all ones', 'key' => KEY_B, 'nonce' => str_repeat('f', 24),
        'env' => ['CHEVERETO_ENCRYPTION_KEY' => base64_encode(hex2bin(KEY_A)), 'CHEVERETO_DB_NAME' => 'chevereto_t20'], 'tenant' => $tenant('t20')],
    ['name' => 'zero-key', 'note' => 'key and nonce of zeros: the keystream begins 76b8e0ad a0f13d90 (counter 0)', 'key' => KEY_ZERO, 'nonce' => str_repeat('0', 24),
        'env' => ['A' => 'b'], 'tenant' => $tenant('t21')],
    ['name' => 'base64-text', 'note' => 'the reader takes base64 text in place of the bytes', 'nonce' => $nonce(22), 'env' => ['CUSTOM_VAR' => 'value'],
        'env_form' => 'base64', 'tenant' => $tenant('t22')],
    ['name' => 'id-of-16', 'note' => 'longest id; a hostname of one label', 'nonce' => $nonce(23), 'env' => ['A' => 'b'],
        'tenant' => ['id' => 'abcdefghijklmnop', 'hostname' => 'localsite']],
    ['name' => 'plan-without-env', 'note' => 'a plan created without env stores serialize(null), sealed; column only, never in Redis', 'nonce' => $nonce(24),
        'env' => null, 'plaintext' => serialize(null)],
    ['name' => 'plan-env', 'note' => 'a plan with env; column only', 'nonce' => $nonce(25), 'env' => ['CHEVERETO_CACHE_TIME_MICRO' => '120']],
];
$vectors = array_map('vector', $cases);
if (! str_starts_with(bin2hex(openssl_chacha20(hex2bin(KEY_ZERO), str_repeat("\0", 12), 0, str_repeat("\0", 64))), '76b8e0ada0f13d90')) {
    throw new RuntimeException('OpenSSL is not the ChaCha20 of RFC 8439');
}

$api_secret = 'tenants-api-key-secret';
$random = '0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef';
$request_secret = 'tenants-api-request-secret';
$api_keys = array_map(static fn (int $id): array => [
    'secret' => $api_secret,
    'signed_text' => "{$id}_{$random}",
    'key' => "chv_{$id}_{$random}_" . hash_hmac('sha256', "{$id}_{$random}", $api_secret),
], [1, 42]);
$signatures = array_map(static fn (string $body): array => [
    'secret' => $request_secret,
    'body' => $body,
    'x_signature' => hash_hmac('sha256', $body, $request_secret),
], ['', '{"id":"tenant123","hostname":"tenant123.example.com","is_enabled":true}', '{"name":"日本"}']);

$out = [
    'about' => 'Made by make-vectors.php with PHP ' . PHP_VERSION . ' and phpseclib3. Order of keys matters in `env` and `tenant`. '
        . '`stored` is base64 of nonce + ciphertext, the bytes of the MySQL column; `tenant` is the PHP array of the Redis value, with `stored` shown for its env. '
        . 'In the PHP value env is those bytes where env_form is binary, the text of `stored` where it is base64. Prefix chv: throughout.',
    'vectors' => $vectors,
    'api_keys' => $api_keys,
    'signatures' => $signatures,
];
$json = json_encode($out, JSON_PRETTY_PRINT | JSON_UNESCAPED_SLASHES | JSON_UNESCAPED_UNICODE | JSON_THROW_ON_ERROR) . "\n";
file_put_contents($argv[1] ?? 'chevereto.json', $json);
printf("%d vectors, %d bytes\n", count($vectors), strlen($json));
