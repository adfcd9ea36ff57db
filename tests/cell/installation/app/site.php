<?php

// How a request or a command finds its tenant: a stand-in for Chevereto, written from the facts of its interfaces. No line of Chevereto
// is in it.

declare(strict_types=1);

require 'phpseclib3/autoload.php';

use phpseclib3\Crypt\ChaCha20;

final class NotServed extends RuntimeException
{
    public function __construct(public readonly int $status, string $why)
    {
        parent::__construct($why);
    }
}

/** A variable of the process, or else of the installation's own file, `.env`. */
function setting(string $name, string $default = ''): string
{
    static $own = null;
    if ($own === null) {
        $own = [];
        foreach (@file(__DIR__ . '/../.env', FILE_IGNORE_NEW_LINES) ?: [] as $line) {
            [$key, $text] = explode('=', $line, 2) + ['', ''];
            $own[$key] = $text;
        }
    }
    $value = getenv($name);
    if ($value === false) {
        $value = $own[$name] ?? false;
    }

    return $value === false || $value === '' ? $default : $value;
}

function cache(): Redis
{
    $redis = new Redis();
    $redis->connect(setting('CHEVERETO_CACHE_HOST', '127.0.0.1'), (int) setting('CHEVERETO_CACHE_PORT', '6379'), 2.0);
    if (setting('CHEVERETO_CACHE_PASSWORD') !== '') {
        $redis->auth([setting('CHEVERETO_CACHE_USER', 'default'), setting('CHEVERETO_CACHE_PASSWORD')]);
    }
    $redis->setOption(Redis::OPT_SERIALIZER, Redis::SERIALIZER_PHP);
    $redis->setOption(Redis::OPT_PREFIX, setting('CHEVERETO_CACHE_KEY_ROOT_PREFIX', 'chv:') . '_:');

    return $redis;
}

function opened(string $stored): array
{
    if (preg_match('#^[a-zA-Z0-9/+]*={0,2}$#', $stored) === 1) {
        $stored = base64_decode($stored);
    }
    $cipher = new ChaCha20();
    $cipher->setNonce(substr($stored, 0, 12));
    $cipher->setKey(base64_decode(setting('CHEVERETO_ENCRYPTION_KEY')));
    $env = @unserialize($cipher->decrypt(substr($stored, 12)), ['allowed_classes' => false]);
    if (! is_array($env)) {
        throw new NotServed(500, 'env does not decrypt');
    }

    return $env;
}

/** The id of a hostname's tenant. */
function tenant_of(Redis $cache, string $hostname): string
{
    $id = $cache->get("hostname:{$hostname}");
    if (! is_string($id) || $id === '') {
        throw new NotServed(404, 'No website defined');
    }

    return $id;
}

/** The settings of a tenant's site: enforced over env over limits. */
function settings_of(Redis $cache, string $id, bool $even_disabled = false): array
{
    $tenant = $cache->get("tenant:{$id}");
    if (! is_array($tenant)) {
        throw new NotServed(404, 'No website data');
    }
    if (! $tenant['is_enabled'] && ! $even_disabled) {
        throw new NotServed(403, 'Website disabled');
    }
    $enforced = json_decode(setting('CHEVERETO_TENANT_ENFORCED', '{}'), true);
    $env = $tenant['env'] === null ? [] : opened($tenant['env']);

    return ['hostname' => $tenant['hostname'], 'settings' => array_merge($tenant['limits'] ?? [], $env, $enforced)];
}

function database(): PDO
{
    return new PDO(
        sprintf('mysql:host=%s;port=%s;dbname=%s', setting('CHEVERETO_DB_HOST'), setting('CHEVERETO_DB_PORT'), setting('CHEVERETO_DB_NAME')),
        setting('CHEVERETO_DB_USER'),
        setting('CHEVERETO_DB_PASS'),
        [PDO::ATTR_ERRMODE => PDO::ERRMODE_EXCEPTION, PDO::ATTR_TIMEOUT => 5],
    );
}

function is_installed(PDO $database, string $id): bool
{
    $found = $database->prepare('SELECT COUNT(*) FROM information_schema.tables WHERE table_schema = DATABASE() AND table_name = ?');
    $found->execute(["chv_{$id}_users"]);

    return (int) $found->fetchColumn() === 1;
}
