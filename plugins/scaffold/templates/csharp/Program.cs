// @NAME@: answers commands on @NAME@/Commands/+ with what they say, in capitals.
// dotnet publish -c Release -r linux-x64 makes the program; "dotnet run -- --test" tests it.
using System.Net.Security;
using System.Runtime.InteropServices;
using System.Security.Cryptography.X509Certificates;
using System.Text.Json;
using MQTTnet;
using MQTTnet.Protocol;

const string Name = "@NAME@";

// What a command is answered with.
static string Answer(string text, string greeting = "hello") => $"{greeting} {text.ToUpperInvariant()}";

if (args.Contains("--test"))
{
    if (Answer("all well?") != "hello ALL WELL?") throw new Exception(Answer("all well?"));
    Console.WriteLine("ok");
    return 0;
}

var anchors = new X509Certificate2Collection();
anchors.ImportFromPemFile(Environment.GetEnvironmentVariable("KEEPER_CA_FILE")!);
bool Trusted(X509Certificate? certificate, SslPolicyErrors errors)
{
    if (certificate is null || errors.HasFlag(SslPolicyErrors.RemoteCertificateNameMismatch)) return false;
    using var chain = new X509Chain();
    chain.ChainPolicy.RevocationMode = X509RevocationMode.NoCheck;
    chain.ChainPolicy.TrustMode = X509ChainTrustMode.CustomRootTrust;
    chain.ChainPolicy.CustomTrustStore.AddRange(anchors);
    return chain.Build(new X509Certificate2(certificate));
}

using var http = new HttpClient(new HttpClientHandler { ServerCertificateCustomValidationCallback = (_, c, _, e) => Trusted(c, e) });
var api = Environment.GetEnvironmentVariable("KEEPER_API_BASE_URL") is { Length: > 0 } given ? given : "https://127.0.0.1:6889";
async Task<Dictionary<string, string>> Settings(string plugin) =>
    JsonSerializer.Deserialize<Dictionary<string, string>>(await http.GetStringAsync($"{api}/api/PluginSettings/{plugin}"))!;

var own = await Settings(Name);
var broker = await Settings("KeeperPrivilegeManager");
using var client = new MqttClientFactory().CreateMqttClient();
Task Say(string topic, string text, MqttQualityOfServiceLevel qos) =>
    client.PublishAsync(new MqttApplicationMessageBuilder().WithTopic(topic).WithPayload(text).WithQualityOfServiceLevel(qos).Build());
Task Log(string level, string message) =>
    Say("KeeperLogger", JsonSerializer.Serialize(new
    {
        MessageId = Guid.NewGuid(), MessageType = "Log", Source = Name, Timestamp = DateTime.UtcNow,
        Payload = new { Level = level, Message = message },
    }), MqttQualityOfServiceLevel.AtLeastOnce);

client.ApplicationMessageReceivedAsync += async e =>
{
    var topic = e.ApplicationMessage.Topic;
    try
    {
        if (topic == $"PluginSettings/{Name}") { own = await Settings(Name); return; }
        var text = e.ApplicationMessage.ConvertPayloadToString() ?? "";
        await Say($"{Name}/Responses/{topic.Split('/').Last()}", Answer(text, own.GetValueOrDefault("greeting", "hello")), MqttQualityOfServiceLevel.ExactlyOnce);
    }
    catch (Exception fault) { await Log("Error", $"{topic}: {fault.Message}"); } // one bad command does not end the plugin
};
var gone = new TaskCompletionSource<int>();
client.DisconnectedAsync += _ => { gone.TrySetResult(1); return Task.CompletedTask; };
using var stop = PosixSignalRegistration.Create(PosixSignal.SIGTERM, c => { c.Cancel = true; gone.TrySetResult(0); });

await client.ConnectAsync(new MqttClientOptionsBuilder()
    .WithTcpServer(broker["broker.host"], int.Parse(broker["broker.port"]))
    .WithClientId($"{Name}_{Environment.ProcessId}") // {PluginName}_{ProcessId}
    .WithTlsOptions(o => o.WithCertificateValidationHandler(c => Trusted(c.Certificate, c.SslPolicyErrors)))
    .Build());
// The declared topics; the primary one is the plugin's own name.
foreach (var topic in new[] { Name, $"{Name}/Commands/+", $"PluginSettings/{Name}" })
    await client.SubscribeAsync(topic, MqttQualityOfServiceLevel.ExactlyOnce);
await Log("Information", "ready");
return await gone.Task; // not 0: the broker has gone, and the agent starts this again
